"""configuration.json: what is read from it and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edge_worker.common.errors import CheckpointError
from edge_worker.m2fp.configuration import load_configuration, parse_configuration
from edge_worker.m2fp.network_configuration import ResNetConfig
from edge_worker.m2fp.seeded import tiny_configuration

if TYPE_CHECKING:
    from pathlib import Path

    from checkpoints import Golden


def refused(data: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        parse_configuration(data, "dir/configuration.json")
    return str(caught.value)


def changed(section: str, key: str, value: object) -> dict[str, Any]:
    data = tiny_configuration()
    (data["model"][section] if section else data["model"])[key] = value
    return data


def test_reads_golden_configurations(golden: Golden) -> None:
    """Every key of the published format is understood."""
    assert golden.config.decoder.num_queries == 20
    assert isinstance(golden.config.backbone, ResNetConfig)
    assert golden.config.backbone.res5_multi_grid == (1, 1, 1)
    assert golden.config.canvas == ((384, 512) if golden.config.single_human else None)


@pytest.mark.parametrize(("section", "key"), [("backbone", "depht"), ("encoder", "conv_dims"), ("", "clases")])
def test_unknown_keys_are_named(section: str, key: str) -> None:
    """A key that nobody knows may be a misspelt one: the error names file and key."""
    message = refused(changed(section, key, 1))
    assert "dir/configuration.json" in message
    assert key in message


def test_missing_keys_are_named() -> None:
    """A key that has no default has to be there."""
    data = tiny_configuration()
    del data["model"]["decoder"]["hidden_dim"]
    assert "model.decoder.hidden_dim" in refused(data)


@pytest.mark.parametrize("key", ["pretrained", "no_object_weight", "deep_supervision"])
def test_keys_of_training_are_tolerated(key: str) -> None:
    """Published files carry keys that say nothing about inference."""
    assert parse_configuration(changed("decoder", key, 1), "file") == parse_configuration(tiny_configuration(), "file")


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("backbone", "depth", 34, "depth"),
        ("backbone", "norm", "SyncBN", "norm"),
        ("encoder", "conv_dim", 40, "conv_dim"),
        ("encoder", "mask_dim", 16, "mask_dim"),
        ("encoder", "in_features", ["res1"], "in_features"),
        ("decoder", "nheads", 5, "nheads"),
        ("decoder", "num_classes", 300, "num_classes"),
        ("decoder", "num_classes", 20, "classes"),
        ("decoder", "mask_bias", [0.5], "mask_bias has 1 values for"),
        ("decoder", "split_queries", 21, "split_queries is 21, but num_queries is 20"),
        ("decoder", "split_queries", 1, "decoder.split_queries needs encoder.person_cues"),
        ("", "num_parsing", None, "num_parsing"),
        ("", "num_parsing", 21, "num_parsing must be the index of a class"),
        ("", "single_human", True, "input_single_human"),
        ("", "input_single_human", {"sizes": [[0, 512]]}, "input_single_human.sizes.0.0"),
        ("", "semantic_on", True, "parsing_on"),
    ],
)
def test_what_cannot_be_built_is_refused(section: str, key: str, value: object, said: str) -> None:
    """Sizes that contradict each other are found when the file is read, not deep in the network."""
    assert said in refused(changed(section, key, value))


@pytest.mark.parametrize("data", [[], {}, {"model": []}, "text"])
def test_other_json_is_refused(data: object) -> None:
    """Any JSON that is no configuration gives a CheckpointError."""
    assert "model" in refused(data)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    """Whoever points at a wrong directory learns which file was looked for."""
    with pytest.raises(CheckpointError, match=r"configuration\.json"):
        load_configuration(tmp_path)
    (tmp_path / "configuration.json").write_text(json.dumps(tiny_configuration())[:-5])
    with pytest.raises(CheckpointError, match="not JSON"):
        load_configuration(tmp_path)
