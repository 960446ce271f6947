"""The messages themselves: what they write, what they refuse, and that the published schemas are theirs."""

import ast
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import edge_worker
from edge_worker.frames.frame import REJECTIONS
from edge_worker.messages import (
    CommandResponse,
    ErrorMessage,
    LabelsBody,
    LabelsMessage,
    Message,
    ModelCard,
    ModelClass,
    ModelName,
    StatusMessage,
    Threads,
    Timings,
    schemas,
)
from edge_worker.messages.asyncapi import examples
from edge_worker.service.lifecycle import State

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
NOW = "2026-01-31T12:00:00.000Z"
MODEL = ModelName(name="m", sha256="0" * 64, engine="openvino", precision="f32")
FACTS: dict[str, Any] = {"node": "n", "camera": "c", "frame_id": "f", "received_at": NOW, "published_at": NOW}
RLE = {"size": [2, 3], "counts": "02"}
PART = {"id": 13, "name": "Face", "score": 0.9, "box": [0, 0, 1, 1], "pixels": 1, "rle": RLE}
BODY: dict[str, Any] = {
    "image": {"width": 3, "height": 2},
    "labels": [
        {"id": 13, "name": "Face", "color": "#ffdec9", "pixels": 1, "fraction": 0.16, "score": 0.9, "box": [0, 0, 1, 1]}
    ],
    "persons": [{"id": 1, "score": 0.8, "box": [0, 0, 2, 2], "pixels": 4, "parts": [PART], "rle": RLE}],
    "unassigned": [{"id": 1, "name": "Hat", "pixels": 1}],
    "instances": [{"kind": "part", **PART}],
}


def _labels(**changes: Any) -> LabelsMessage:  # noqa: ANN401
    values = FACTS | BODY | {"model": MODEL, "timings_ms": Timings(queued=1.5), "age_ms": 12.5} | changes
    return LabelsMessage(**values)


MESSAGES: dict[str, Message] = {
    "labels": _labels(captured_at="2026-01-31T11:59:59Z"),
    "error": ErrorMessage(**FACTS, reason="undecodable", detail="no image"),
    "status": StatusMessage(node="n", version="1", session="s", state="offline", since=NOW, reason="lost", pid=1),
    "model": ModelCard(
        node="n",
        published_at=NOW,
        model=MODEL,
        choice="the only one",
        classes=(ModelClass(id=0, name="Background", color="#000000"),),
        threads=Threads(requested={"inference": "auto", "cpus": None}, effective={"inference": 2, "cpus": [0, 1]}),
    ),
    "stats": examples.MESSAGES["stats"],
    "response": CommandResponse(node="n", command="config", status="ok", data={"tls": None}, published_at=NOW),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_written_is_what_the_schema_says(name: str) -> None:
    """Every field that is written is in the published schema, and every field it requires is written."""
    _assert_fits(json.loads(MESSAGES[name].to_json()), schemas()[name], schemas()[name].get("$defs", {}))


def _assert_fits(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> None:  # noqa: ANN401
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"])
        assert set(schema["required"]) <= set(value)
        for key, item in value.items():
            _assert_fits(item, schema["properties"][key], definitions)
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for item in value.values():
            _assert_fits(item, schema["additionalProperties"], definitions)
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            _assert_fits(item, schema["items"], definitions)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_published_schema_is_the_code_s(name: str) -> None:
    """docs/schema is what ``python -m edge_worker.messages`` writes."""
    assert json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")) == schemas()[name]


def test_no_schema_is_left_over() -> None:
    """Every file in docs/schema describes a message that exists."""
    assert {file.name.removesuffix(".schema.json") for file in SCHEMAS.iterdir()} == set(schemas())


@pytest.mark.parametrize("name", [name for name in MESSAGES if name != "response"])
def test_a_message_names_its_schema_first(name: str) -> None:
    """Readers can tell messages and their versions apart."""
    assert MESSAGES[name].to_json().startswith(b'{"schema":"edge-worker.%b/1",' % name.encode())


def test_a_labels_message_reads_back_as_it_was() -> None:
    """What the model process returned goes out unchanged, in compact JSON without nulls."""
    written = _labels().to_json()
    assert b": " not in written
    assert b"null" not in written
    values = json.loads(written)
    assert {key: values[key] for key in BODY} == BODY
    assert LabelsMessage.model_validate_json(written) == _labels()


def test_what_an_image_may_lack_is_left_out() -> None:
    """Without masks, raw instances and a sender's time their keys are not there."""
    part = {key: value for key, value in PART.items() if key != "rle"}
    persons = [{"id": 1, "score": 0.8, "box": [0, 0, 2, 2], "pixels": 4, "parts": [part]}]
    values = json.loads(_labels(persons=persons, instances=None).to_json())
    assert "rle" not in values["persons"][0] | values["persons"][0]["parts"][0]
    assert not {"instances", "captured_at"} & set(values)


def test_an_empty_image_is_a_full_message() -> None:
    """Nothing found is a reply, too."""
    body = LabelsBody.model_validate(
        {"image": {"width": 1, "height": 1}, "labels": [], "persons": [], "unassigned": []}
    )
    assert json.loads(body.to_json())["labels"] == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1.5])
def test_a_score_is_a_number_between_0_and_1(number: float) -> None:
    """NaN and nonsense do not reach the wire."""
    with pytest.raises(ValidationError):
        _labels(persons=[BODY["persons"][0] | {"score": number}])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_free_data_holds_no_nan_either(number: float) -> None:
    """Where any JSON value may stand, NaN is none."""
    with pytest.raises(ValidationError):
        CommandResponse(node="n", command="x", status="ok", data={"x": [number]}, published_at=NOW)


def test_messages_do_not_change_and_have_no_unknown_fields() -> None:
    """A misspelt field is a defect that shows at once."""
    with pytest.raises(ValidationError):
        _labels(cashed=True)
    with pytest.raises(ValidationError):
        MESSAGES["status"].node = "x"  # type: ignore[attr-defined]


@given(st.text(max_size=700) | st.just("\ud800"))
def test_any_detail_can_be_written(detail: str) -> None:
    """Explanations come from decoders and brokers: long or broken ones are cut and mended, never a second error."""
    written = ErrorMessage(**FACTS, reason="model_error", detail=detail).to_json()
    assert len(json.loads(written)["detail"]) <= 500


def test_nulls_inside_a_configuration_are_kept() -> None:
    """In the reply to ``config`` a null says something."""
    assert json.loads(MESSAGES["response"].to_json())["data"] == {"tls": None}


def test_the_words_are_those_of_the_parts_that_use_them() -> None:
    """Reasons and states are listed in the schemas, but decided elsewhere."""
    assert set(get_args(ErrorMessage.model_fields["reason"].annotation)) == REJECTIONS
    assert set(get_args(StatusMessage.model_fields["state"].annotation)) == {state.value for state in State}


@pytest.mark.parametrize("what", ["labels", "persons", "unassigned", "instances"])
def test_of_many_mistakes_the_first_is_told(what: str) -> None:
    """A model process that was taken over may return them by the hundred thousand, and each takes a kilobyte."""
    with pytest.raises(ValidationError) as refused:
        LabelsBody.model_validate(BODY | {what: [{}] * 1000})
    assert refused.value.error_count() < 10


def test_no_message_has_the_name_of_another_class() -> None:
    """Whoever reads ``Person`` knows which one is meant: the wire's would be ``PersonMessage``."""
    package = Path(edge_worker.__file__).parent
    classes = {
        (node.name, file.parent.name == "messages")
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    wire, others = ({name for name, is_wire in classes if is_wire is wanted} for wanted in (True, False))
    assert "PersonMessage" in wire
    assert wire & others == set()
