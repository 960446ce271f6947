"""What the documentation says is true of the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_worker import cli
from edge_worker.common import log_events
from edge_worker.frames.counters import Count
from edge_worker.frames.frame import DROPS, REJECTIONS
from edge_worker.service.lifecycle import State
from edge_worker.service.metrics import Metrics, Snapshot
from edge_worker.service.result_cache import CacheStats

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/recipes/*.md"), *ROOT.glob("training/*.md")]
)
FENCE = re.compile(r"```.*?```", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^(?: {4}|\$ )?(?:/opt/edge-worker/bin/)?edge-worker ([a-z].*?)(?: +#.*|  +.*)?$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that exists."""
    links = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    files = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert [file for file in files if not (page.parent / unquote(file)).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_are_headings(page: Path) -> None:
    """What follows the # of a link is a heading of the page it leads to, as GitHub writes it."""
    links = [link.partition("#") for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))]
    inner = [(file, anchor) for file, _, anchor in links if anchor and "://" not in file]
    assert [
        (file, anchor) for file, anchor in inner if anchor not in _anchors(page.parent / file if file else page)
    ] == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_can_be_typed(page: Path) -> None:
    """Every ``edge-worker …`` line of a page is one that the command line takes."""
    for command in COMMAND.findall(page.read_text(encoding="utf-8")):
        cli.parser().parse_args(shlex.split(command))


def test_the_metrics_are_all_documented() -> None:
    """The table of metrics has exactly the names that /metrics shows."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(edge_worker_[a-z_]+)` \|", page, re.MULTILINE))
    snapshot = Snapshot(State.ONLINE, {"door": Count()}, {}, {}, duplicates=0, held=0, cache=CacheStats(0, 0, 0))
    families = text_string_to_metric_families(Metrics(lambda: snapshot).exposition()[0].decode())
    shown = {family.name + {"counter": "_total", "info": "_info"}.get(family.type, "") for family in families}
    ours = {name for name in shown if name.startswith("edge_worker_") and not name.endswith("_created")}
    assert documented == ours


def test_every_field_of_a_message_is_documented() -> None:
    """Whatever stands in a message's schema is told of in docs/topics.md."""
    words = set(re.findall(r"\w+", (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")))
    schemas = sorted(ROOT.glob("docs/schema/*.json"))
    assert schemas
    assert {
        file.name: fields - words for file in schemas if (fields := _fields(json.loads(file.read_text()))) - words
    } == {}


def _fields(schema: Any) -> set[str]:  # noqa: ANN401 - JSON
    """The names of all properties in a JSON Schema."""
    if isinstance(schema, list):
        return set().union(*map(_fields, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*map(_fields, schema.values()))


def test_every_command_is_documented_with_its_arguments() -> None:
    """The table of commands has a row for each request that has a schema, and in it each argument."""
    page = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8").partition("## Commands")[2]
    rows = dict(re.findall(r"^\| `([a-z]+)` \|([^|]*)\|", page, re.MULTILINE))
    requests = {file.name.split(".")[0].removeprefix("request-"): file for file in ROOT.glob("docs/schema/request-*")}
    arguments = {name: _fields(json.loads(file.read_text())) - {"transaction"} for name, file in requests.items()}
    assert {name: set(re.findall(r"`([a-z_]+)`", row)) for name, row in rows.items()} == arguments


def test_what_the_log_is_said_to_say_is_what_it_says() -> None:
    """Troubleshooting begins with words of the log, which a search must find there."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    code = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("edge_worker/**/*.py"))
    link_events = {str(event) for event in log_events.ALL.values()}
    assert [words for words in re.findall(r"`(link: [a-z ]+)`", page) if words not in link_events] == []
    seen = re.findall(r"^\|([^|]+)\|", page, re.MULTILINE)
    quoted = [words for cell in seen for words in re.findall(r"`([a-z_.]+ [a-z_. ]+)`", cell)]
    assert quoted
    assert [words for words in quoted if words not in code] == []


def test_each_rejection_is_explained() -> None:
    """Whoever meets a reason word finds it in the documentation."""
    text = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("troubleshooting.md", "topics.md"))
    assert [word for word in sorted(REJECTIONS | DROPS) if f"`{word}`" not in text] == []
