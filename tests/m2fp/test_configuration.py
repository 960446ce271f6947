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
    assert refused(data) == "dir/configuration.json: model.decoder.hidden_dim: required key is missing"


@pytest.mark.parametrize("key", ["pretrained", "no_object_weight", "deep_supervision"])
def test_keys_of_training_are_tolerated(key: str) -> None:
    """Published files carry keys that say nothing about inference."""
    assert parse_configuration(changed("decoder", key, 1), "file") == parse_configuration(tiny_configuration(), "file")


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("backbone", "depth", 34, "model.backbone.depth: Invalid enum value 34; allowed: 50, 101, 152"),
        ("backbone", "norm", "SyncBN", "model.backbone.norm: Invalid enum value 'SyncBN'; allowed: BN"),
        ("backbone", "type", "vit", "allowed: resnet, shufflenetv2, efficientnet-lite0"),
        ("backbone", "out_features", ["res1"], "out_features.0: Invalid enum value 'res1'; allowed: res2, res3"),
        ("backbone", "res5_multi_grid", [1, 2], "model.backbone.res5_multi_grid: Expected `array` of length 3"),
        ("encoder", "person_cues", {"waves": 0}, "model.encoder.person_cues: unknown key"),
        ("decoder", "mask_bias", [float("nan")] * 20, "model.decoder: mask_bias has values that are not finite"),
        ("backbone", "out_features", ["res1"], "allowed: res2, res3, res4, res5$"),
        ("backbone", "stem_out_channels", 7, "model.backbone.stem_out_channels: Expected `int` that's a multiple of 2"),
        ("", "input", {"short_side": 31}, "model.input.short_side: Expected `int` >= 32"),
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
    message = refused(changed(section, key, value))
    assert message.endswith(said[:-1]) if said.endswith("$") else said in message


@pytest.mark.parametrize("data", [[], {}, {"model": []}, "text"])
def test_other_json_is_refused(data: object) -> None:
    """Any JSON that is no configuration gives a CheckpointError."""
    assert "model" in refused(data)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    """Whoever points at a wrong directory learns which file was looked for."""
    with pytest.raises(CheckpointError, match=r"configuration\.json"):
        load_configuration(tmp_path)
    for content in (
        json.dumps(tiny_configuration())[:-5],
        json.dumps(changed("backbone", "norm", "\ud800")),
        "[" * 100_000,
    ):
        (tmp_path / "configuration.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"configuration\.json: not JSON"):
            load_configuration(tmp_path)
