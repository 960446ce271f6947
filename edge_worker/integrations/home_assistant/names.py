"""Identifiers that Home Assistant accepts, and names of cameras inside its templates. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

_MAX_SLUG: Final = 40
"""Characters of a name that an identifier keeps for readability; the hash makes it unique."""

_NOT_IN_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]+")


def node_id(node: str) -> str:
    """Return the id of the device of the worker *node*, with a hash if characters of the name were replaced."""
    slug = _NOT_IN_AN_ID.sub("_", node)
    return f"edge_worker_{slug}" if slug == node else f"edge_worker_{slug}_{_digest(node)}"


def camera_id(node: str, camera: str) -> str:
    """Return the id of the device of *camera*, whatever characters its name has, at the worker *node*."""
    slug = _NOT_IN_AN_ID.sub("_", camera)[:_MAX_SLUG].strip("_")
    return "_".join(filter(None, (node_id(node), slug, _digest(f"{node}/{camera}"))))


def component_id(kind: str, name: str) -> str:
    """Return the id of the component of this *kind* for the class *name*."""
    slug = _NOT_IN_AN_ID.sub("_", name)[:_MAX_SLUG]
    return f"{kind}_{slug}" if slug == name else f"{kind}_{slug}_{_digest(name)}"


def quoted(text: str) -> str:
    """Return *text* as a string literal that is valid in both JSON and Jinja, and contains no template tag.

    Names of cameras come from outside: ``{{ states() }}`` in one must stay a name.
    """
    return json.dumps(text, ensure_ascii=False).replace("{", r"\u007b").replace("}", r"\u007d")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
