"""Weights load strictly, and never run code."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.checkpoint import load_network, read_state

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def checkpoint(tmp_path: Path, seeded: Callable[[str], Path]) -> Path:
    """A checkpoint that may be damaged."""
    return Path(shutil.copytree(seeded("few-classes"), tmp_path / "checkpoint"))


def rewrite(checkpoint: Path, change: Callable[[dict[str, Any]], object]) -> None:
    state = torch.load(checkpoint / "pytorch_model.pt", weights_only=True)["model"]
    change(state)
    torch.save({"model": state}, checkpoint / "pytorch_model.pt")


def test_differing_tensors_are_listed(checkpoint: Path) -> None:
    """Missing names, unexpected names and differing shapes are each said, with the file."""

    def damage(state: dict[str, Any]) -> None:
        del state["backbone.stem.conv1.weight"]
        state["backbone.stem.conv9.weight"] = torch.zeros(1)
        state["sem_seg_head.predictor.query_feat.weight"] = torch.zeros(3, 3)

    rewrite(checkpoint, damage)
    with pytest.raises(CheckpointError) as caught:
        load_network(checkpoint)
    message = str(caught.value)
    assert "pytorch_model.pt" in message
    assert "missing: backbone.stem.conv1.weight" in message
    assert "not expected: backbone.stem.conv9.weight" in message
    assert "query_feat.weight: shape (3, 3), the configuration asks for (20, 32)" in message


def test_long_lists_are_cut(checkpoint: Path) -> None:
    """A wrong configuration makes hundreds of differences; the message stays readable."""
    rewrite(checkpoint, lambda state: [state.pop(name) for name in list(state)])
    with pytest.raises(CheckpointError, match=r"… and \d+ more"):
        load_network(checkpoint)


def test_half_precision_weights_are_widened(checkpoint: Path) -> None:
    """A checkpoint stored in float16 runs in float32."""

    def halve(state: dict[str, Any]) -> None:
        state.update({name: tensor.half() for name, tensor in state.items() if tensor.is_floating_point()})

    rewrite(checkpoint, halve)
    network, _ = load_network(checkpoint)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 252000000\n"


class Code:
    """Unpickled carelessly, this runs a function."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("run",))


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", b"\x80\x02.", pickle.dumps({"model": Code()}), pickle.dumps([1])]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no weights gives a CheckpointError that names it, and code in a pickle does not run."""
    file = tmp_path / "pytorch_model.pt"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.pt") as refused:
        read_state(file)
    assert not capsys.readouterr().out
    assert "weights_only" not in str(refused.value), "torch's advice to load unsafely is passed on"


def test_git_lfs_pointer_is_named(checkpoint: Path) -> None:
    """Weights that Git LFS has not fetched yet are called that, with the command that fetches them."""
    file = checkpoint / "pytorch_model.pt"
    file.write_bytes(LFS_POINTER)
    with pytest.raises(CheckpointError, match=r"Git LFS pointer.*git lfs pull"):
        load_network(checkpoint)


def test_what_is_no_tensor_is_refused(tmp_path: Path) -> None:
    """A file of torch.save that holds something else has no names and shapes to compare."""
    torch.save({"model": {"weight": 1}}, tmp_path / "pytorch_model.pt")
    with pytest.raises(CheckpointError, match="holds no"):
        read_state(tmp_path / "pytorch_model.pt")


def test_truncated_weights_are_refused(checkpoint: Path) -> None:
    """A download that was cut off is said to be no file of weights."""
    file = checkpoint / "pytorch_model.pt"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="not a file of PyTorch weights"):
        load_network(checkpoint)


def test_old_format_is_read(checkpoint: Path) -> None:
    """Files of torch.save's format before 1.6 load as well."""
    state = torch.load(checkpoint / "pytorch_model.pt", weights_only=True)
    torch.save(state, checkpoint / "pytorch_model.pt", _use_new_zipfile_serialization=False)
    load_network(checkpoint)
