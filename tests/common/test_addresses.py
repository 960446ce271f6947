"""Addresses as they are shown: without their secrets."""

from __future__ import annotations

import pytest

from edge_worker.common.addresses import without_login


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.7:554/ch/1", "rtsp://***@10.0.0.7:554/ch/1"),
        ("rtsp://admin@camera/1", "rtsp://***@camera/1"),
        ("http://a:p@ss@host/x", "http://***@host/x"),
        ("rtsp://admin:p/w#x?y@10.0.0.7/1", "rtsp://***@10.0.0.7/1"),
        ("rtsp:/admin:pw@h/1", "rtsp:/***@h/1"),
        ("admin:pw@10.0.0.7/1", "***@10.0.0.7/1"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("http://host/x?user=a&password=s3cret&fps=5", "http://host/x?user=a&password=***&fps=5"),
        ("http://host/x?access_token=s3cret", "http://host/x?access_token=***"),
        ("cannot open rtsp://a:b@c/d: timed out", "cannot open rtsp://***@c/d: timed out"),
        ("http://host/mail@example", "http://host/mail@example"),
        ("photos/me@home.jpg", "photos/me@home.jpg"),
        ("scene", "scene"),
    ],
)
def test_a_login_is_masked_and_nothing_else(typed: str, shown: str) -> None:
    """User and password go, and parameters named like secrets; host, path and plain files stay."""
    assert without_login(typed) == shown
