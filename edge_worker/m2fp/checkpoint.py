"""ModelScope checkpoint directories: ``configuration.json`` and ``pytorch_model.pt``.

The weights file is a pickle ``{"model": state_dict}``; ``weights_only=True`` keeps it from running code.
"""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.checksums import refuse_lfs_pointer
from edge_worker.m2fp.configuration import ModelConfig, load_configuration
from edge_worker.m2fp.directory import WEIGHTS_FILE
from edge_worker.m2fp.network.m2fp import M2FP

if TYPE_CHECKING:
    from pathlib import Path

# Differences listed in an error message; a wrong configuration causes hundreds.
_LISTED = 12


def load_network(directory: Path) -> tuple[M2FP, ModelConfig]:
    """Load the network of a checkpoint *directory*, in evaluation mode.

    Raises:
        CheckpointError: a file is missing or unreadable, or tensors do not match the configuration.
    """
    config = load_configuration(directory)
    file = directory / WEIGHTS_FILE
    state = read_state(file)
    with torch.device("meta"):
        network = M2FP(config)
    check_state(network, state, file)
    network.load_state_dict(state, assign=True)
    network.requires_grad_(requires_grad=False)
    return network.float().eval(), config


def read_state(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a weights *file* by name.

    Raises:
        CheckpointError: the file is missing, a Git LFS pointer, not a pickle of tensors, or has no ``model`` entry.
    """
    try:
        with file.open("rb") as stream:
            refuse_lfs_pointer(file, stream.peek())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles: the content is checked below
            content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except OSError as error:
        raise CheckpointError(
            f"{file}: {error.strerror or error}; a checkpoint directory holds {WEIGHTS_FILE}"
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # the unpickler raises arbitrary exceptions on damaged files
        # torch's own text advises loading without weights_only, which would run code from the file.
        raise CheckpointError(
            f"{file}: not a file of PyTorch weights ({type(error).__name__}): it is damaged, cut off, or holds more "
            "than tensors, which is never loaded; copy or pull the model again"
        ) from error
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise CheckpointError(f'{file}: holds no {{"model": state_dict}}')
    return state


def check_state(network: M2FP, state: dict[str, Tensor], file: Path) -> None:
    """Compare the names and shapes of *state*, read from *file*, with what *network* needs.

    Raises:
        CheckpointError: lists missing tensors, unexpected tensors and differing shapes.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differences = [
        *(f"missing: {name}" for name in wanted.keys() - found.keys()),
        *(f"not expected: {name}" for name in found.keys() - wanted.keys()),
        *(
            f"{name}: shape {found[name]}, the configuration asks for {wanted[name]}"
            for name in wanted.keys() & found.keys()
            if wanted[name] != found[name]
        ),
    ]
    if differences:
        raise CheckpointError(_list_differences(sorted(differences), file))


def _list_differences(differences: list[str], file: Path) -> str:
    more = len(differences) - _LISTED
    tail = [f"… and {more} more"] if more > 0 else []
    return "\n  ".join([f"{file}: tensors differ from configuration.json:", *differences[:_LISTED], *tail])
