"""The sample file and the page about it are complete and true."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from edge_worker.config import LIVE, Config, HttpConfig, MqttConfig, OpsConfig, TlsConfig, load

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "config" / "edge_worker.yaml"
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z0-9_.\[\]]+)` \| (?:`([^`]*)`|required) \|", PAGE, re.MULTILINE))
DEFAULTS = Config(mqtt=MqttConfig(host="localhost", tls=TlsConfig()), ops=OpsConfig(http=HttpConfig()))


def _keys(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return all keys of *section* with their values; the keys of ``outputs`` are those of ``output``."""
    found: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel) and name != "outputs":
            found |= _keys(value, f"{prefix}{name}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            found |= _keys(value[0], f"{prefix}{name}[].")
        else:
            found[prefix + name] = value
    return found


KEYS = _keys(DEFAULTS)


def test_the_sample_equals_the_defaults() -> None:
    """Copying the sample changes nothing."""
    assert load(SAMPLE, {}) == Config(mqtt=MqttConfig(host="localhost"))


def test_the_sample_holds_every_key() -> None:
    """A key that exists can be found in the sample; those of ``tls`` stand in its comment."""
    written = _flat(yaml.safe_load(SAMPLE.read_text(encoding="utf-8")))
    text = SAMPLE.read_text(encoding="utf-8")
    commented = {key for key in KEYS if key.startswith(("mqtt.tls.", "ops.http."))}
    assert set(KEYS) - commented <= written
    assert written <= set(KEYS) | {"mqtt.tls", "ops.http"}
    assert all(f"{key.rpartition('.')[2]}:" in text for key in commented)


def _flat(value: Any, prefix: str = "") -> set[str]:  # noqa: ANN401
    if isinstance(value, dict) and value:
        return set().union(*(_flat(item, f"{prefix}.{key}") for key, item in value.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _flat(value[0], f"{prefix}[]")
    return {prefix.removeprefix(".")}


def test_the_page_tells_of_every_key() -> None:
    """docs/configuration.md has a row for each key that exists, and for no other."""
    assert set(ROWS) - {"mqtt.tls", "ops.http"} == set(KEYS)


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"mqtt.host", "mqtt.port", "node.id"}))
def test_the_page_tells_the_default(key: str) -> None:
    """The default in the table is the one in the code (host, port and id have theirs from elsewhere)."""
    default = yaml.safe_load(ROWS[key])
    value = KEYS[key]
    plain = list(value) if isinstance(value, tuple) else value
    assert default == (plain.model_dump(exclude_unset=True) if isinstance(plain, BaseModel) else plain)


def test_the_page_lists_the_live_keys() -> None:
    """What the page says about reloading is what the code does."""
    page = PAGE.partition("## Reload")[2]
    named = set(re.findall(r"`([a-z_\[\]]+\.[a-z_.]+)`", page)) - {"cameras[].outputs"}
    of_output = {key for key in KEYS if key.startswith("output.") and not key.endswith((".topic", ".qos"))}
    assert named | of_output == LIVE
