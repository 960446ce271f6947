from __future__ import annotations

from replies import PNG, labels_of

from edge_worker.imaging import png
from edge_worker.mqtt.message import Incoming
from edge_worker.tools.joiner import MAX_WAITING, Joiner, frame_id_of


def message(payload: bytes, **properties: str) -> Incoming:
    return Incoming(
        topic="t",
        payload=payload,
        qos=1,
        retained=False,
        redelivered=False,
        properties={name.replace("_", "-"): value for name, value in properties.items()},
        content_type="",
        response_topic="",
        correlation=None,
        arrived=0.0,
        delivery=None,
    )


def test_frame_id_comes_from_properties_or_the_png() -> None:
    """MQTT 5 carries the id as a property, MQTT 3.1.1 in the PNG; a JPEG by 3.1.1 has none."""
    assert frame_id_of(message(b"\xff\xd8 jpeg", frame_id="f1")) == "f1"
    assert frame_id_of(message(png.with_text(PNG, {"frame-id": "f2"}))) == "f2"
    assert frame_id_of(message(PNG)) is None
    assert frame_id_of(message(b"\xff\xd8 jpeg")) is None
    assert frame_id_of(message(b"\x89PNG\r\n\x1a\nbroken")) is None


def test_images_join_the_labels_of_their_frame() -> None:
    """Frames of one camera may overlap: each labels message gets the images of its own frame."""
    joiner = Joiner()
    joiner.image("colormap", "c", message(b"one", frame_id="f1"))
    joiner.image("colormap", "c", message(b"two", frame_id="f2"))
    joiner.image("overlay", "c", message(b"over", frame_id="f1"))
    joined = joiner.labels(labels_of("c", "f1"), b"{}")
    assert dict(joined.images) == {"colormap": b"one", "overlay": b"over"}
    assert dict(joiner.labels(labels_of("c", "f2"), b"{}").images) == {"colormap": b"two"}


def test_image_without_an_id_joins_the_next_labels_of_its_camera() -> None:
    """By MQTT 3.1.1 an overlay has no id: images are published before labels, so it belongs to the next ones."""
    joiner = Joiner()
    joiner.image("overlay", "c", message(b"over"))
    assert not joiner.labels(labels_of("other", "f1"), b"{}").images
    assert dict(joiner.labels(labels_of("c", "f1"), b"{}").images) == {"overlay": b"over"}
    assert not joiner.labels(labels_of("c", "f2"), b"{}").images


def test_waiting_images_are_bounded() -> None:
    """Images whose labels never come, of however many cameras, are forgotten, the oldest first."""
    joiner = Joiner()
    for number in range(MAX_WAITING + 1):
        joiner.image("colormap", f"c{number}", message(b"map", frame_id="f"))
    assert not joiner.labels(labels_of("c0", "f"), b"{}").images
    assert joiner.labels(labels_of("c1", "f"), b"{}").images
