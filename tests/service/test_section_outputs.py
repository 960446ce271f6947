"""What frames are parsed for."""

from __future__ import annotations

from dataclasses import replace

from samples import make_frame

from edge_worker.config import ColormapConfig, OutputConfig, OverlayConfig
from edge_worker.frames.request import Request
from edge_worker.service.overrides import CameraOverrides, Overrides
from edge_worker.service.section_outputs import SectionOutputs

SECTION = SectionOutputs("box-1", OutputConfig(), score_threshold=0.5)


def test_the_configuration_says_what_is_wanted() -> None:
    """The kinds it enables, as it describes them."""
    outputs = OutputConfig(colormap=ColormapConfig(enabled=False), overlay=OverlayConfig(enabled=True, quality=30))
    wanted = SectionOutputs("box-1", outputs).wanted(make_frame(), Overrides(), snapshot=False)
    assert [(image.kind, image.quality) for image in wanted.images] == [("overlay", 30)]
    assert SECTION.wanted(make_frame(), Overrides(), snapshot=False) == SECTION.configured


def test_commands_go_before_the_configuration() -> None:
    """For their camera; a snapshot is an overlay once more."""
    overrides = Overrides()
    overrides.set("door", CameraOverrides(score_threshold=0.9))
    assert SECTION.in_force("door", overrides) == replace(SECTION.configured, score_threshold=0.9)
    assert SECTION.in_force("yard", overrides) == SECTION.configured
    wanted = SECTION.wanted(make_frame(camera="door"), overrides, snapshot=True)
    assert ([image.kind for image in wanted.images], wanted.score_threshold) == (["overlay", "colormap"], 0.9)


def test_a_request_says_what_it_wants() -> None:
    """Images, masks and threshold are the asker's where it named them, else those in force."""
    overrides = Overrides()
    overrides.set("door", CameraOverrides(score_threshold=0.9))
    asked = Request("replies/me", outputs=frozenset({"overlay", "nonsense"}), masks=True, score_threshold=0.1)
    wanted = SECTION.wanted(make_frame(request=asked), overrides, snapshot=False)
    assert [image.kind for image in wanted.images] == ["overlay"]
    assert (wanted.masks, wanted.score_threshold) == ("rle", 0.1)
    plain = make_frame(request=Request("replies/me"))
    assert SECTION.wanted(plain, overrides, snapshot=False) == SECTION.in_force("door", overrides)
