"""The page about events tells the truth: what it shows is taken or refused as it says, its limits are the code's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest

from backbone.model import causation, envelopes, json_text
from backbone.model.errors import InvalidEvent
from backbone.model.events import MAX_EVENT_BYTES
from backbone.model.resources import Catalog
from gateway import event_requests, intake
from schemas import generate

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
REFUSED = re.findall(r"^\| `(\{.*\})` \| (?:`(.*?)`)? ?\| (.*) \|$", PAGE, re.MULTILINE)
SCHEMAS = generate.schemas(Catalog())


def taken(body: str) -> list[envelopes.Submission]:
    documents = envelopes.split(body.encode())
    return [envelopes.decode(document, Catalog(), datetime.now(UTC)) for document in documents]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_taken(example: str) -> None:
    submissions = taken(example)
    assert len(submissions) == example.count('"action"') + example.count('"specversion"')


def test_the_examples_say_what_the_schemas_say() -> None:
    for example in EXAMPLES:
        document = json.loads(example)
        for one in document if isinstance(document, list) else [document]:
            jsonschema.Draft202012Validator(SCHEMAS["cloudevent" if "specversion" in one else "event"]).validate(one)


def test_the_whole_example_uses_and_the_table_explains_every_field() -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(envelopes.OwnEvent)} - {"specversion"}
    assert set(json.loads(EXAMPLES[1])) == fields - {"entityId", "projectId"}
    assert {field for field in fields if f"`{field}`" not in PAGE} == set()


def test_there_are_refusals_to_test() -> None:
    assert len(REFUSED) == 9


@pytest.mark.parametrize(("body", "path", "reason"), REFUSED)
def test_a_refusal_is_the_one_that_stands_beside_it(body: str, path: str, reason: str) -> None:
    with pytest.raises(InvalidEvent) as found:
        taken(body)
    assert (found.value.path, found.value.reason) == (path, reason)


@pytest.mark.parametrize(
    "value", ['"a\\u0000b"', "18446744073709551616", "-9223372036854775809", "1e999", '{"a":1,"a":1}']
)
def test_what_nobody_could_keep_is_refused_wherever_it_stands(value: str) -> None:
    for where in ('"entity":{"id":"1","x":@}', '"entity":{"id":"1"},"previous":{"x":@}', '"entity":{"id":"1"},"x":@'):
        with pytest.raises(InvalidEvent):
            taken('{"resource":"Item","action":"Created",' + where.replace("@", value) + "}")


def test_the_numbers_are_those_of_the_code() -> None:
    for number in (MAX_EVENT_BYTES, event_requests.MOST_EVENTS, intake.EVENTS):
        assert f"{number:,}" in PAGE
    assert f"{json_text.MAX_DEPTH} levels" in PAGE
    assert f"{causation.MAX_LINKS} links" in PAGE
