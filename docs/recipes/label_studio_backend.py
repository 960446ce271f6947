"""A machine learning backend for Label Studio: brush predictions for the image that is opened.

    pip install 'edge-worker[web]'
    LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_TOKEN=… uvicorn label_studio_backend:app --port 9090

LABEL_STUDIO_TOKEN is a personal access token, or a legacy token where the organisation allows those.
Add http://localhost:9090 under Settings → Model; Label Studio takes an address of its own machine only with
USE_DEFAULT_BANNED_SUBNETS=false. The labelling interface is the `interface.xml` that
`edge-worker export` writes: its brush is called "tag", its image "image".
"""

import json
import os
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from fastapi import FastAPI, HTTPException

from edge_worker import load_parser
from edge_worker.tools.annotations.label_studio import brush

_URL = os.environ.get("LABEL_STUDIO_URL", "http://localhost:8080")
_TOKEN = os.environ.get("LABEL_STUDIO_TOKEN", "")
_TIMEOUT_S = 30
_parser = load_parser()  # m2fp-lite; or the directory of another model
app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    """Tell Label Studio that we are there."""
    return {"status": "UP", "model_class": _parser.info.name}


@app.post("/setup")
def setup() -> dict[str, str]:
    """Tell it which model this is."""
    return {"model_version": _parser.info.sha256[:12]}


@app.post("/predict")
async def predict(asked: dict[str, Any]) -> dict[str, Any]:
    """Parse the image of each task; one at a time, as the parser wants it."""
    return {"results": [_prediction(task["data"]["image"]) for task in asked["tasks"]]}


def _prediction(address: str) -> dict[str, Any]:
    parsing = _parser.parse_bytes(_image(address))
    height, width = parsing.label_map.shape
    parts = [part for person in parsing.persons for part in person.parts]
    result = [
        {
            "from_name": "tag",
            "to_name": "image",
            "type": "brushlabels",
            "original_width": width,
            "original_height": height,
            "score": part.score,
            "value": {"format": "rle", "rle": brush(part.mask), "brushlabels": [part.label]},
        }
        for part in parts
    ]
    score = min((part.score for part in parts), default=0.0)
    return {"model_version": _parser.info.sha256[:12], "score": score, "result": result}


def _image(address: str) -> bytes:
    """Fetch an image from Label Studio, and from nowhere else: tasks may name any address."""
    url = urljoin(_URL, address)
    if urlsplit(url)[:2] != urlsplit(_URL)[:2]:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{address} is not at {_URL}")
    return _read(Request(url, headers=_authorization()))  # noqa: S310 - scheme and host are checked


def _authorization() -> dict[str, str]:
    """The header that lets us in; a personal access token (a JWT) is good for access tokens that last minutes."""
    if "." not in _TOKEN:
        return {"Authorization": f"Token {_TOKEN}"} if _TOKEN else {}
    url, body = urljoin(_URL, "/api/token/refresh/"), json.dumps({"refresh": _TOKEN}).encode()
    answer = _read(Request(url, body, {"Content-Type": "application/json"}))  # noqa: S310 - the operator's address
    return {"Authorization": f"Bearer {json.loads(answer)['access']}"}


def _read(request: Request) -> bytes:
    with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        return bytes(answer.read())
