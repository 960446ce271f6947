"""What the gateway keeps of cameras."""

from __future__ import annotations

import pytest
from images import encoded, photo

from edge_worker.common.image_formats import IMAGE_FORMATS

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

from edge_worker.gateway.cameras import content_type


@pytest.mark.parametrize("name", IMAGE_FORMATS)
def test_a_frame_is_shown_in_its_format(name: str) -> None:
    """Whichever workers can read: browsers are told not to guess."""
    assert content_type(encoded(photo(), name.upper())) == f"image/{name}"
