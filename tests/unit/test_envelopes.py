"""Bytes become events, or an InvalidEvent that names the field; nothing else ever comes out."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.model import causation, envelopes, json_text
from backbone.model.causation import Causation, Link
from backbone.model.errors import InvalidEvent
from backbone.model.events import MAX_EVENT_BYTES
from backbone.model.resources import KNOWN, Catalog

CATALOG = Catalog()
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
CHAIN = Causation(chain=(Link(event="e0", trigger="t0", execution="x0"),))


def own(**changes: Any) -> bytes:
    document = {"id": "e1", "resource": "Item", "action": "Created", "entity": {"id": "i1"}} | changes
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


def cloud(**changes: Any) -> bytes:
    document = {"specversion": "1.0", "id": "c1", "source": "/shop", "type": "com.example.Item.Created"}
    return json.dumps(document | {"data": {"id": "i1"}} | changes).encode()


def decoded(document: bytes) -> envelopes.Submission:
    return envelopes.decode(document, CATALOG, NOW)


def refused(document: bytes) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as found:
        decoded(document)
    return found.value


@pytest.mark.parametrize(
    ("resource", "action"), [(name, action) for name, actions in KNOWN.items() for action in actions]
)
def test_every_known_action_is_taken_from_both_shapes(resource: str, action: str) -> None:
    for document in (own(resource=resource, action=action), cloud(type=f"x.{resource}.{action}")):
        event = decoded(document).event
        assert (event.resource, event.action) == (resource, action)


def test_names_in_any_case_come_back_in_the_known_spelling() -> None:
    event = decoded(own(resource="itemstatus", action="TASKASSIGNED")).event
    assert (event.resource, event.action) == ("ItemStatus", "taskAssigned")


def test_the_entity_stays_the_bytes_that_arrived() -> None:
    entity = b'{ "id":"i1",  "size": 1.50, "big": 12345678901234567, "id2":"\\u00e9" }'
    event = decoded(b'{"resource":"Item","action":"Updated","entity": ' + entity + b', "previous":\n{"id": 1} }').event
    assert (event.entity, event.previous) == (entity, b'{"id": 1}')


def test_an_id_is_kept_and_made_where_there_is_none() -> None:
    assert decoded(own(id="mine")).event.id == "mine"
    first, second = (decoded(own(id=...)).event.id for _ in range(2))
    assert uuid.UUID(first) != uuid.UUID(second)


def test_the_entity_is_named_by_entity_id_or_by_its_own_id() -> None:
    assert decoded(own()).event.entity_id == "i1"
    assert decoded(own(entity={"id": 17})).event.entity_id == "17"
    assert decoded(own(entityId="said", entity={"id": "other"})).event.entity_id == "said"
    assert decoded(cloud(subject="said")).event.entity_id == "said"


def test_what_is_null_is_as_if_it_were_not_there() -> None:
    names = ("id", "entityId", "project", "projectId", "previous", "actor", "time", "causation", "traceparent")
    event = decoded(own(**dict.fromkeys(names))).event
    assert (event.entity_id, event.previous, event.actor, event.time, event.causation) == ("i1", None, None, NOW, None)


def test_the_project_is_an_id_or_a_name_or_left_to_the_default() -> None:
    assert decoded(own()).project is None
    assert decoded(own(project="demo")).project == "demo"
    assert decoded(own(project="demo", projectId="p1")).project == "p1"
    assert decoded(cloud(project="demo")).project == "demo"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-05-01T10:00:00Z", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01T10:00:00+02:00", datetime(2024, 5, 1, 8, tzinfo=UTC)),
        ("2024-05-01T10:00:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_utc_and_may_be_any(written: str, meant: datetime) -> None:
    event = decoded(own(time=written)).event
    assert event.time == meant
    assert event.time.utcoffset() == timedelta(0)


def test_causation_comes_as_json_in_our_shape_and_as_base64url_in_cloudevents() -> None:
    assert decoded(own(causation=json.loads(causation.encode(CHAIN)))).event.causation == CHAIN
    assert decoded(cloud(causation=causation.to_header(CHAIN))).event.causation == CHAIN


def test_a_traceparent_and_its_tracestate_come_in_both_shapes() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert decoded(own(traceparent=trace)).event.traceparent == trace
    assert decoded(cloud(traceparent=trace)).event.traceparent == trace
    for shape in (own, cloud):
        assert decoded(shape(traceparent=trace, tracestate="a=b")).event.tracestate == "a=b"
        assert decoded(shape(traceparent=trace, tracestate="nonsense")).event.tracestate is None
        assert decoded(shape(tracestate="a=b")).event.tracestate is None


def test_an_entity_that_has_specversion_is_still_in_our_own_shape() -> None:
    assert decoded(own(entity={"id": "i1", "specversion": "1.0"})).event.entity_id == "i1"


def test_a_cloudevent_whose_extensions_are_called_as_our_fields_is_a_cloudevent() -> None:
    assert decoded(cloud(resource="x", action="y", entity={})).event.resource == "Item"


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        (own(entity=...), "entity", "is missing"),
        (own(entity=[1]), "entity", "expected an object, got [1]"),
        (own(entity="é" * 30), "entity", "expected an object"),
        (own(entity={}), "entity.id", "is missing"),
        (own(entity={"id": 1.5}), "entity.id", "got a number"),
        (own(entity={"id": ""}), "entity.id", "expected 1 to 512 characters"),
        (own(id=""), "id", "expected 1 to 512 characters"),
        (own(id="x" * 513), "id", "expected 1 to 512 characters"),
        (own(id="a\x00b"), "id", "without NUL"),
        (own(entity={"id": "a\x00b"}), "entity.id", "without NUL"),
        (own(entityId="a\x00b"), "entityId", "without NUL"),
        (own(actor="a\x00b"), "actor", "without NUL"),
        (own(project="a\x00b"), "project", "is not a name"),
        (own(projectId="../x"), "projectId", "is not a name"),
        (own(previous=[1]), "previous", "expected an object, got [1]"),
        (own(resource="Itm"), "resource", "did you mean 'Item'?"),
        (own(resource="x" * 900_000), "resource", "known: Item, Dataset"),
        (own(action="Creatd"), "action", "did you mean 'Created'?"),
        (own(time="yesterday"), "time", "is not a time such as 2024-05-01T12:00:00Z"),
        (own(time=1714557600), "time", "got a whole number"),
        (own(time="9999-12-31T23:59:59-01:00"), "time", "outside the years"),
        (own(causation={"chain": [{"event": "e"}]}), "causation.chain[0].trigger", "is missing"),
        (own(causation={"chain": [{"event": "e", "trigger": "t", "execution": "x"}] * 65}), "causation", "at most 64"),
        (cloud(specversion="0.3"), "specversion", "expected '1.0'"),
        (cloud(specversion=None), "specversion", "expected a string, got null"),
        (cloud(type="Created"), "type", "does not end in <resource>.<action>"),
        (cloud(type="x.Item.Creatd"), "type", "did you mean 'Created'?"),
        (cloud(data="text"), "data", "expected an object"),
        (cloud(data={}), "data.id", "is missing"),
        (cloud(subject=""), "subject", "expected 1 to 512 characters"),
        (cloud(causation="!"), "causation", "is not base64url"),
        (own(traceparent="00-1-2-01"), "traceparent", "'00-1-2-01' is not <version>-<trace id>"),
        (cloud(traceparent=""), "traceparent", "'' is not <version>-<trace id>"),
        (own(id="\ud800"), "", "surrogate"),
        (own(entity={"id": "\ud800"}), "", "surrogate"),
        (own(entity={"id": "i1", "name": "\udc00\ud800"}), "", "surrogate"),
        (b"", "", "is not JSON"),
        (b"{", "", "is not JSON"),
        (b"nonsense", "", "is not JSON"),
        (b"[1]", "", "expected an object, got an array"),
        (b"\xff", "", "byte 0 is not UTF-8"),
        (own()[:-1] + b',"x":NaN}', "", "is not JSON"),
        (own()[:-1] + b',"x":-Infinity}', "", "is not JSON"),
        (own(entity={"id": "i1", "x": "@"}).replace(b'"@"', b"1e999"), "", "number is infinity"),
        (own(previous={"x": 2**64}), "", "the integer 18446744073709551616 does not fit into 64 bits"),
        (own(entity={"id": "i1", "x": "\x00"}), "", "the NUL character at byte"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(document: bytes, path: str, reason: str) -> None:
    error = refused(document)
    assert error.path == path
    assert reason in error.reason
    assert len(error.reason) < 400
    assert "\x00" not in error.path + error.reason


def test_an_event_is_at_most_a_megabyte() -> None:
    padding = MAX_EVENT_BYTES - len(own(entity={"id": "i1", "pad": ""}))
    assert decoded(own(entity={"id": "i1", "pad": "x" * padding})).event.entity_id == "i1"
    assert "at most 1,000,000" in refused(own(entity={"id": "i1", "pad": "x" * (padding + 1)})).reason


def nested(levels: int) -> bytes:
    """An event of so many levels, itself and its entity among them."""
    return own(entity={"id": "i1", "x": "@"}).replace(b'"@"', b"[" * (levels - 2) + b"]" * (levels - 2))


@pytest.mark.parametrize("levels", [json_text.MAX_DEPTH + 1, 900, 5_000, 400_000])
def test_what_nests_too_deep_is_refused(levels: int) -> None:
    assert decoded(nested(json_text.MAX_DEPTH)).event.entity_id == "i1"
    assert "deep" in refused(nested(levels)).reason


def test_brackets_inside_strings_and_side_by_side_are_not_depth() -> None:
    tricky = ["[" * 200, '\\"' + "{" * 200, "\\" * 7 + '"' + "[" * 200, "]" * 200, *([] for _ in range(200))]
    assert decoded(own(entity={"id": "i1", "x": tricky})).event.entity_id == "i1"


@pytest.mark.parametrize(
    ("document", "path", "key"),
    [
        (own()[:-1] + b',"id":"e2"}', "", "id"),
        (own()[:-1] + b',"entity":{"id":"i2"}}', "", "entity"),
        (own().replace(b'"i1"', b'"i1","id":"i2"'), "entity", "id"),
        (own(previous={"a": [0, {}]}).replace(b"{}", b'{"c":1,"c":1}'), "previous.a[1]", "c"),
        (cloud().replace(b'"i1"', b'"i1","x":{"y":1,"y":1}'), "data.x", "y"),
    ],
)
def test_a_key_that_comes_twice_is_refused_by_its_name(document: bytes, path: str, key: str) -> None:
    error = refused(document)
    assert (error.path, error.reason) == (path, f'the key "{key}" comes twice')


def test_of_two_lists_of_events_none_is_lost_unseen() -> None:
    one = own().decode()
    schema = '"$schema": "https://example.com/a:b"'
    assert len(envelopes.split(f'{{{schema}, "events" : [{one}, {one}]}}'.encode())) == 2
    for twice in (
        f'{{"events":[{one}],"events":[]}}',
        f'{{"events":[{one}],{schema},"\\u0065vents":[{one}]}}',
        f'{{{schema},{schema},"events":[]}}',
    ):
        with pytest.raises(InvalidEvent, match="comes twice"):
            envelopes.split(twice.encode())


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_an_event_or_an_invalid_event(body: bytes) -> None:
    for content_type in ("application/json", "application/x-ndjson"):
        try:
            for document in envelopes.split(body, content_type):
                decoded(document)
        except InvalidEvent:
            pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)
own_fields = st.sampled_from(
    [
        "id",
        "resource",
        "action",
        "entity",
        "entityId",
        "previous",
        "actor",
        "time",
        "causation",
        "traceparent",
        "tracestate",
        "project",
        "projectId",
    ]
)
cloud_fields = st.sampled_from(
    [
        "specversion",
        "id",
        "source",
        "type",
        "data",
        "subject",
        "time",
        "project",
        "actor",
        "causation",
        "traceparent",
        "tracestate",
    ]
)


@given(st.dictionaries(own_fields, json_values, max_size=3), st.dictionaries(cloud_fields, json_values, max_size=3))
def test_any_json_in_any_field_is_an_event_or_an_invalid_event(
    own_changes: dict[str, Any], cloud_changes: dict[str, Any]
) -> None:
    for document in (own(**own_changes), cloud(**cloud_changes)):
        texts = texts_of(document)
        assert not any("\x00" in text for text in texts)
        assert "".join(texts).encode()


def texts_of(document: bytes) -> list[str]:
    """All that goes on to a text column, of an event or of its dead letter."""
    try:
        event = decoded(document).event
    except InvalidEvent as error:
        return [error.path, error.reason]
    return [event.id, event.entity_id, event.actor or ""]


@given(st.binary(min_size=1, max_size=6), st.integers(0, 200))
def test_a_damaged_event_is_an_event_or_an_invalid_event(damage: bytes, place: int) -> None:
    document = own(
        previous={"id": "i1"}, causation={"chain": []}, entity={"id": "i1", "text": 'é\\ " \u2028', "n": -1.5e3}
    )
    try:
        decoded(document[:place] + damage + document[place + len(damage) :])
    except InvalidEvent:
        pass


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20),
    st.datetimes(timezones=st.just(UTC)),
)
def test_an_event_written_out_reads_back_the_same(text: str, time: datetime) -> None:
    document = own(id=text, entityId=text, actor=text, time=time.isoformat(), previous={"id": text}, projectId="p1")
    event = decoded(document).event
    assert decoded(envelopes.encode(event)).event == event


@pytest.mark.parametrize(
    ("body", "content_type", "count"),
    [
        (own(), "application/json", 1),
        (b"[" + own() + b",\n " + own() + b"]", "application/json", 2),
        (b' {"events": [' + own() + b"]} ", "application/json", 1),
        (b'{"events": []}', "application/json", 0),
        (b'{"$schema": "event.schema.json", "events": [' + own() + b"]}", "application/json", 1),
        (b"[]", "application/json", 0),
        (own() + b"\n\n  \r\n" + own() + b"\n", "application/x-ndjson; charset=utf-8", 2),
        (own() + b"\n" + own(), "application/jsonl", 2),
        (b"[" + cloud() + b"," + cloud() + b"]", "application/cloudevents-batch+json", 2),
        (cloud(), "application/cloudevents+json", 1),
    ],
)
def test_a_body_is_split_into_its_events(body: bytes, content_type: str, count: int) -> None:
    documents = envelopes.split(body, content_type)
    assert len(documents) == count
    for document in documents:
        decoded(document)


def test_one_bad_event_of_many_is_judged_alone() -> None:
    for body, content_type in (
        (b"[" + own() + b', 17, {"x": "\xff"}]', "application/json"),
        (own() + b'\n17\n{"x": "\xff"}', "application/x-ndjson"),
    ):
        first, second, third = envelopes.split(body, content_type)
        assert decoded(first).event.id == "e1"
        refused(second)
        refused(third)


def test_an_event_that_has_a_field_events_is_one_event() -> None:
    document = own(entity={"id": "i1", "events": []}, events=[1])
    assert envelopes.split(document) == [document]


@pytest.mark.parametrize("body", [b"", b"  \n", b"[1, 2", b'{"events": [1, 2}'])
def test_a_body_that_cannot_be_read_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        envelopes.split(body)
