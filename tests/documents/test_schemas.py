"""The schemas are those of the model, and their examples are taken or refused by the schema and by the engine alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from backbone.model import definitions, envelopes, messages, requests, triggers
from backbone.model.errors import Invalid
from backbone.model.resources import KNOWN, Catalog
from backbone.model.states import ExecutionStatus
from gateway import shapes
from schemas import __main__ as command
from schemas import generate
from schemas.words import WORDS

FOLDER = Path(command.__file__).parent
SCHEMAS = generate.schemas(Catalog())
VALID = sorted((FOLDER / "examples" / "valid").glob("*/*.json"))
INVALID = sorted((FOLDER / "examples" / "invalid").glob("*/*.json"))


def read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


def named(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def take(kind: str, document: Any) -> None:
    """As the engine reads it. Raises Invalid."""
    if kind in ("event", "cloudevent"):
        for one in envelopes.split(json.dumps(document).encode()):
            envelopes.decode(one, Catalog(), datetime.now(UTC))
    elif kind == "trigger":
        many = document.get("triggers", [document]) if isinstance(document, dict) else document
        for one in many if isinstance(many, list) else [many]:
            triggers.parse(one, Catalog(), strict=True)
    elif kind == "package":
        definitions.parse_package(document)
    elif kind == "service":
        for trigger in definitions.parse_service(document).triggers:
            triggers.parse(trigger, Catalog(), strict=True)
    elif kind == "execution":
        msgspec.convert(document, shapes.ExecutionShape)
    elif kind == "work-item":
        item = msgspec.convert(document, messages.WorkItem)
        assert messages.decode_work_item(messages.encode_work_item(item)) == item
    elif kind == "request":
        request = msgspec.convert(document, requests.Request)
        assert requests.decode_request(requests.encode_request(request)) == request
    else:
        reports = msgspec.convert(document, list[messages.Report])
        assert messages.decode_reports(messages.encode_reports(reports)) == reports


def accepts(kind: str, document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMAS[kind]).is_valid(document))


def test_the_files_are_those_that_the_model_gives() -> None:
    for file, text in command.files(Catalog(), FOLDER):
        assert file.read_text("utf-8") == text, "python -m schemas writes it anew"
    assert {file.name for file in FOLDER.glob("*.schema.json")} == {f"{name}.schema.json" for name in SCHEMAS}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_each_schema_is_one_and_every_field_of_it_is_described(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    for field in fields_of({**schema.get("$defs", {}), "": schema}):
        assert field["title"]
        assert field["description"].endswith((".", ")")) or field["description"].islower(), field


def fields_of(definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, definition in definitions.items():
        if name not in ("Filter", "FilterCondition"):
            yield from definition.get("properties", {}).values()
            yield from definition.get("prefixItems", [])


def test_every_word_is_of_a_field_in_some_schema() -> None:
    described = {
        description
        for schema in SCHEMAS.values()
        for field in fields_of({**schema.get("$defs", {}), "": schema})
        if (description := field.get("description"))
    }
    said = {words.description for fields in WORDS.values() for words in fields.values() if words is not None}
    assert said <= described


def test_there_are_examples_of_every_kind() -> None:
    assert {file.parent.name for file in VALID} == set(SCHEMAS)
    assert {file.parent.name for file in INVALID} == {"event", "cloudevent", "trigger", "package", "service"}


@pytest.mark.parametrize("file", VALID, ids=named)
def test_a_valid_example_is_taken_by_its_schema_and_by_the_engine(file: Path) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[file.parent.name]).validate(read(file))
    take(file.parent.name, read(file))


@pytest.mark.parametrize("file", INVALID, ids=named)
def test_an_invalid_example_gives_the_error_that_stands_beside_it(file: Path) -> None:
    example = read(file)
    with pytest.raises(Invalid) as refused:
        take(file.parent.name, example["document"])
    assert {"path": refused.value.path, "reason": refused.value.reason} == example["error"]


@pytest.mark.parametrize("file", INVALID, ids=named)
def test_the_schema_refuses_an_invalid_example_where_it_can_say_so(file: Path) -> None:
    example = read(file)
    refuses = example.get("schemaRefuses", True)
    assert accepts(file.parent.name, example["document"]) is not refuses
    assert refuses or example["because"]


def test_the_examples_hold_every_resource_action_and_mode() -> None:
    wanted = {
        (resource, action, mode.value)
        for resource, actions in KNOWN.items()
        for action in actions
        for mode in actions[action]
    }
    held = read(FOLDER / "examples/valid/trigger/every-resource-action-and-mode.json")
    assert {
        (one["spec"]["resource"], one["spec"]["actions"][0], one["spec"]["executionMode"]) for one in held
    } == wanted


@pytest.mark.parametrize("mode", ["Once", "Always"])
@pytest.mark.parametrize("resource", KNOWN)
def test_the_schema_and_the_engine_agree_on_every_combination(resource: str, mode: str) -> None:
    for action in {action for actions in KNOWN.values() for action in actions}:
        flat = {"resource": resource, "actions": [action], "executionMode": mode}
        for document in (flat, {"spec": flat}, {"spec": flat | {"actions": action}}):
            assert accepts("trigger", document) is taken("trigger", document), document
        event = {"resource": resource, "action": action, "entity": {"id": "1"}}
        assert accepts("event", event) is taken("event", event), event


def taken(kind: str, document: Any) -> bool:
    try:
        take(kind, document)
    except Invalid:
        return False
    return True


def test_the_states_of_reports_are_ended_ones_or_rerun() -> None:
    finished = SCHEMAS["report"]["$defs"]["Finished"]["prefixItems"]
    [status] = [field for field in finished if field["title"] == "status"]
    assert set(status["enum"]) - {"rerun"} < {status.value for status in ExecutionStatus}


def test_check_exits_1_and_says_which_file_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--into", str(tmp_path)]) == 0
    assert command.main(["--into", str(tmp_path), "--check"]) == 0
    (tmp_path / "event.schema.json").write_text("{}")
    capsys.readouterr()
    assert command.main(["--into", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().out == "event.schema.json: differs; python -m schemas writes it anew\n"


def test_a_deployment_makes_schemas_with_resources_of_its_own(tmp_path: Path) -> None:
    assert command.main(["--into", str(tmp_path), "--resource", "Shipment:Created,Lost"]) == 0
    own = jsonschema.Draft202012Validator(read(tmp_path / "trigger.schema.json"))
    assert own.is_valid({"resource": "Shipment", "actions": ["Lost"], "executionMode": "Always"})
    assert not own.is_valid({"resource": "Shipment", "actions": ["Updated"]})


def test_the_module_runs_as_documented() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "schemas", "--check"], cwd=FOLDER.parent, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
