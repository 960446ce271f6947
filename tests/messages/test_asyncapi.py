"""The AsyncAPI document: that it is published as it is, valid, and true of its own examples."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from asyncapi_checks import DOCUMENT, MESSAGES, header_schemas, problems
from jsonschema import Draft7Validator
from npm_packages import require_package, run_script

from edge_worker import cli
from edge_worker.messages import schemas

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLISHED = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


def test_the_published_document_is_the_code_s() -> None:
    """docs/asyncapi.yaml is what ``edge-worker schema`` prints."""
    assert yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")) == DOCUMENT


@pytest.mark.parametrize(("options", "read"), [([], yaml.safe_load), (["--format", "json"], json.loads)])
def test_the_command_prints_it_in_either_form(
    options: list[str], read: Callable[[str], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """YAML, which people read, or JSON."""
    assert cli.main(["schema", *options]) == 0
    printed = capsys.readouterr().out
    assert read(printed) == DOCUMENT
    assert "&id" not in printed  # an anchor: many tools read none


def test_the_parser_of_asyncapi_finds_no_fault() -> None:
    """Neither error nor warning; and it does find a reference that leads nowhere."""
    require_package("@asyncapi/parser")
    broken = copy.deepcopy(DOCUMENT)
    broken["operations"]["sendLabels"]["channel"]["$ref"] = "#/channels/nowhere"
    assert json.loads(run_script("validate_asyncapi.mjs", json.dumps(DOCUMENT))) == []
    assert json.loads(run_script("validate_asyncapi.mjs", json.dumps(broken))) != []


def test_every_schema_of_a_message_is_in_it() -> None:
    """What docs/schema describes is described here under the same title, and nothing is defined inline."""
    assert {schema["title"] for schema in schemas().values()} <= set(DOCUMENT["components"]["schemas"])
    assert "$defs" not in json.dumps(DOCUMENT)


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_its_schemas_are_of_the_draft_that_asyncapi_takes(name: str) -> None:
    """Draft 7, which has no ``prefixItems`` and sees nothing beside a reference."""
    schema = DOCUMENT["components"]["schemas"][name]
    Draft7Validator.check_schema(schema)
    assert "prefixItems" not in json.dumps(schema)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_example_fits_its_schema(name: str) -> None:
    """Payloads and user properties; the parser of AsyncAPI passes wrong ones."""
    for example in MESSAGES[name].get("examples", ()):
        headers = example.get("headers", {})
        assert problems(MESSAGES[name]["payload"], example.get("payload", "")) == []
        assert [problem for schema in header_schemas(name) for problem in problems(schema, headers)] == []
        assert set(headers) <= {key for schema in header_schemas(name) for key in schema["properties"]}


def test_a_wrong_example_would_be_noticed() -> None:
    """The check above can fail: a box of three numbers, a missing field, a score above 1."""
    labels = MESSAGES["labels"]
    good = labels["examples"][0]["payload"]
    wrongs: tuple[dict[str, object], ...] = (
        {"labels": [good["labels"][0] | {"box": [1, 2, 3]}]},
        {"image": {}},
        {"persons": [{"score": 2}]},
    )
    for wrong in wrongs:
        assert problems(labels["payload"], good | wrong)
