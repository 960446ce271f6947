"""Topics that are denied: how many are remembered."""

from __future__ import annotations

from edge_worker.mqtt.denials import MAX_TOPICS, Denials


def test_a_topic_that_is_denied_again_displaces_no_other() -> None:
    """Where as many are known as may be; a new one takes the place of the oldest."""
    denials = Denials()
    for number in range(MAX_TOPICS):
        denials.denied(str(number), "not authorised", 0.0)
    denials.denied("7", "not authorised", 0.0)
    assert denials.is_probed("0")
    denials.denied("new", "not authorised", 0.0)
    assert (denials.is_probed("0"), denials.is_probed("new")) == (False, True)
