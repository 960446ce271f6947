"""Fetching a checkpoint: from a stand-in of the hub on loopback, over cut connections, checked by SHA-256."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from edge_worker.common.errors import ModelError
from edge_worker.m2fp.checksums import read_sums
from edge_worker.m2fp.hub import pull
from edge_worker.m2fp.seeded import tiny_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = "damo/cv_test_parsing"
WEIGHTS = b"weights" * 100_000


class Hub(ThreadingHTTPServer):
    """ModelScope's file interface with one model; the first ``cuts`` downloads of its weights break off."""

    files: dict[str, bytes]
    cuts = 0
    cut_list_after: int | None = None
    lists_sums = True

    def __init__(self) -> None:
        self.files = {"configuration.json": json.dumps(tiny_configuration()).encode(), "pytorch_model.pt": WEIGHTS}
        self.requests: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    """Answers one request of the hub's interface."""

    server: Hub

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == f"/api/v1/models/{MODEL}/repo/files":
            listed = {"Data": {"Files": [self.listed(name) for name in self.server.files]}}
            self.answer(json.dumps(listed).encode(), cut_after=self.server.cut_list_after)
        elif parts.path == f"/api/v1/models/{MODEL}/repo" and query["FilePath"] in self.server.files:
            self.server.requests.append((query["FilePath"], self.headers["Range"]))
            self.send_file(self.server.files[query["FilePath"]])
        else:
            self.send_error(404)

    def listed(self, name: str) -> dict[str, Any]:
        entry = {"Path": name, "Type": "blob"}
        if self.server.lists_sums:
            entry["Sha256"] = hashlib.sha256(self.server.files[name]).hexdigest()
        return entry

    def send_file(self, content: bytes) -> None:
        asked = self.headers["Range"]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and start >= len(content):
            self.send_error(416)
        else:
            cut = content is WEIGHTS and self.server.cuts > 0
            self.server.cuts -= cut
            self.answer(content[start:], 206 if asked else 200, 150_000 if cut else None)

    def answer(self, body: bytes, status: int = 200, cut_after: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut_after])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_pull(hub: Hub, tmp_path: Path) -> None:
    """Both files of a checkpoint come, and what they are is pinned beside them."""
    out = pull(MODEL, tmp_path / "out", endpoint=hub.url)
    assert {"SHA256SUMS", "configuration.json", "pytorch_model.pt"} <= {file.name for file in out.iterdir()}
    assert (out / "pytorch_model.pt").read_bytes() == WEIGHTS
    assert read_sums(out)["pytorch_model.pt"] == hashlib.sha256(WEIGHTS).hexdigest()


def test_files_that_are_there_are_kept(hub: Hub, tmp_path: Path) -> None:
    """A second pull fetches only what is missing or differs."""
    pull(MODEL, tmp_path, endpoint=hub.url)
    (tmp_path / "configuration.json").write_text("altered")
    hub.requests.clear()
    pull(MODEL, tmp_path, endpoint=hub.url)
    assert hub.requests == [("configuration.json", None)]


def test_a_broken_download_goes_on(hub: Hub, tmp_path: Path) -> None:
    """A connection that is cut costs no download, and what arrives is whole."""
    hub.cuts = 1
    pull(MODEL, tmp_path, endpoint=hub.url)
    assert (tmp_path / "pytorch_model.pt").read_bytes() == WEIGHTS
    assert [name for name, _ in hub.requests].count("pytorch_model.pt") > 1


def test_hubs_without_sums(hub: Hub, tmp_path: Path) -> None:
    """A hub that lists no sums still serves."""
    hub.lists_sums = False
    pull(MODEL, tmp_path, endpoint=hub.url)
    pull(MODEL, tmp_path, endpoint=hub.url)
    assert (tmp_path / "pytorch_model.pt").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("model_id", "said"), [("damo/other", "404"), ("no model", "OWNER/NAME"), ("../../x", "OWNER/NAME")]
)
def test_unknown_models(hub: Hub, tmp_path: Path, model_id: str, said: str) -> None:
    """What the hub does not have, and what no hub can have, is said so."""
    with pytest.raises(ModelError, match=said):
        pull(model_id, tmp_path, endpoint=hub.url)


def test_models_of_another_kind(hub: Hub, tmp_path: Path) -> None:
    """A repository without the weights file is no checkpoint."""
    del hub.files["pytorch_model.pt"]
    with pytest.raises(ModelError, match=r"no pytorch_model\.pt"):
        pull(MODEL, tmp_path, endpoint=hub.url)


def test_a_list_that_breaks_off(hub: Hub, tmp_path: Path) -> None:
    """Is no list, and the hub is named."""
    hub.cut_list_after = 20
    with pytest.raises(ModelError, match=hub.url):
        pull(MODEL, tmp_path, endpoint=hub.url)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is an error with the address, not a traceback."""
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the client's pauses between its attempts
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9"):
        pull(MODEL, tmp_path, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize("url", ["http://modelscope.cn", "file:///etc", "ftp://127.0.0.1"])
def test_only_https(url: str, tmp_path: Path) -> None:
    """Weights do not come over plain HTTP from another machine, nor from anything that is no hub."""
    with pytest.raises(ModelError, match="https"):
        pull(MODEL, tmp_path, endpoint=url)


def test_the_client_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ModelScope's client, what to install is said."""
    monkeypatch.setattr("edge_worker.m2fp.hub.is_installed", lambda *_: False)
    with pytest.raises(ModelError, match=r"edge-worker\[modelscope\]"):
        pull(MODEL, tmp_path)
