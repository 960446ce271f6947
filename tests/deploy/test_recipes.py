"""The programs and flows of docs/recipes, run as far as a test can."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from functools import partial
from http import HTTPStatus
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brokers import free_port, is_listening, wait_until
from links import Client
from npm_packages import require_package, run_script
from workers import IMAGE, START_S

from edge_worker import load_parser
from edge_worker.common.topics import Template
from edge_worker.config import load
from edge_worker.messages.asyncapi.examples import PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokers import Mosquitto

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
PERSONAL_TOKEN = "header.payload.signature"  # noqa: S105 - of no server


class _LabelStudio(SimpleHTTPRequestHandler):
    """Serves files to who has an access token, and gives one for a personal access token, as Label Studio does."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] == "Bearer access":
            super().do_GET()
        else:
            self.send_error(HTTPStatus.UNAUTHORIZED)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, asked) == ("/api/token/refresh/", {"refresh": PERSONAL_TOKEN})
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.wfile.write(b'{"access": "access"}')

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def backend() -> Iterator[str]:
    """The address of the machine learning backend, for a Label Studio that serves the golden image."""
    pytest.importorskip("uvicorn")
    server = HTTPServer(("127.0.0.1", 0), partial(_LabelStudio, directory=str(IMAGE.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "label_studio_backend:app", "--port", str(port), "--log-level", "error"]
    address = f"http://127.0.0.1:{server.server_port}"
    environ = {**os.environ, "LABEL_STUDIO_URL": address, "LABEL_STUDIO_TOKEN": PERSONAL_TOKEN}
    with subprocess.Popen(command, cwd=RECIPES, env=environ) as process:
        try:
            wait_until(lambda: is_listening(port), "the backend listens", START_S)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            server.shutdown()
            server.server_close()


def post(url: str, body: object) -> Any:  # noqa: ANN401 - JSON
    """Post JSON, and read the answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def test_label_studio_gets_the_masks_of_an_image(backend: str) -> None:
    """As it asks a backend for them, and as its editor reads them; an image from elsewhere is not fetched."""
    require_package("@thi.ng/rle-pack")
    assert post(f"{backend}/setup", {})["model_version"]
    (prediction,) = post(f"{backend}/predict", {"tasks": [{"data": {"image": "/frame.png"}}]})["results"]
    with load_parser() as parser:
        wanted = [part for person in parser.parse_file(IMAGE).persons for part in person.parts]
    runs = json.loads(
        run_script("decode_brushes.mjs", json.dumps([one["value"]["rle"] for one in prediction["result"]]))
    )
    assert len(runs) == len(wanted)
    for one, part in zip(runs, wanted, strict=True):
        assert np.array_equal(np.repeat(one[::2], one[1::2])[::4] > 0, part.mask.reshape(-1))
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{backend}/predict", {"tasks": [{"data": {"image": "file:///etc/passwd"}}]})
    assert refused.value.code == 400
    refused.value.close()


@pytest.mark.mosquitto
def test_node_red_tells_when_people_come_and_when_they_have_left(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The flow in a real Node-RED, fed with labels as a worker sends them: one message a change, for each camera."""
    program = require_package("node-red") / "red.js"
    flow = json.loads((RECIPES / "node-red-flow.json").read_text())
    for node in flow:
        node.update({"port": str(mosquitto.port), "clientid": "flow"} if node["type"] == "mqtt-broker" else {})
    (tmp_path / "flow.json").write_text(json.dumps(flow))
    settings = {"uiHost": "127.0.0.1", "uiPort": free_port(), "httpAdminRoot": False, "httpNodeRoot": False}
    settings |= {"flowFile": "flow.json", "telemetry": {"enabled": False}}
    (tmp_path / "settings.js").write_text(f"module.exports = {json.dumps(settings)}")
    log = tmp_path / "node-red.log"
    command = ["node", str(program), "--userDir", str(tmp_path), "--settings", str(tmp_path / "settings.js")]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            wait_until(lambda: "flow 1 parsing/+/labels" in mosquitto.log(), "Node-RED has subscribed", START_S)
            with Client(mosquitto.port, "alarm/#") as consumer:
                for camera, persons in (("gate", 0), ("gate", 1), ("gate", 1), ("gate", 0), ("door", 1)):
                    labels = PAYLOADS["labels"] | {"camera": camera}
                    labels |= {"persons": labels["persons"] * persons}
                    consumer.publish(f"parsing/{camera}/labels", json.dumps(labels).encode())
                said = [(message.topic, json.loads(message.payload)) for message in consumer.wait_for(4)]
        finally:
            process.terminate()
    assert said == [
        (f"alarm/{camera}", {"camera": camera, "occupied": occupied})
        for camera, occupied in (("gate", False), ("gate", True), ("gate", False), ("door", True))
    ]


def test_the_configuration_of_a_recipe_is_one(tmp_path: Path) -> None:
    """What cameras.md says for Frigate is taken as it stands."""
    page = (RECIPES / "cameras.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^    mqtt: .*\n(?:    .*\n)+", page, re.MULTILINE)
    (tmp_path / "password").write_text("secret")
    (tmp_path / "edge_worker.yaml").write_text(textwrap.dedent(found))
    (camera,) = load(tmp_path / "edge_worker.yaml", {}).cameras
    assert Template(camera.topic).match("frigate/gate/person/snapshot") == "gate"
