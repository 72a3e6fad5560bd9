"""Records of other shapes become events, or an InvalidEvent that names the field, or nothing where nothing changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.model import causation
from backbone.model.causation import Causation, Link
from backbone.model.errors import Invalid, InvalidEvent
from backbone.model.event_fields import Submission
from backbone.model.events import MAX_EVENT_BYTES, Event
from backbone.model.resources import Catalog
from trigger_engine.connectors import configuration
from trigger_engine.connectors.configuration import Connector
from trigger_engine.connectors.record import Record

EXAMPLE = (Path(__file__).parents[2] / "examples" / "connectors" / "connectors.toml").read_text(encoding="utf-8")
CATALOG = Catalog()
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
CLOUDEVENTS, DEBEZIUM, MAPPING = (connector.shape for connector in configuration.read(EXAMPLE, CATALOG))
CE = {"ce_specversion": b"1.0", "ce_id": b"c1", "ce_source": b"/x", "ce_type": b"com.example.Item.Created"}


def record(
    value: Any, key: Any = None, headers: dict[str, bytes] | None = None, topic: str = "a.topic", offset: int = 7
) -> Record:
    return Record(
        topic=topic, partition=2, offset=offset, time=NOW, key=written(key), value=written(value), headers=headers or {}
    )


def written(value: Any) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else json.dumps(value).encode()


def submission(shape: Any, *arguments: Any, **named: Any) -> Submission:
    made = shape.event(record(*arguments, **named), CATALOG)
    assert isinstance(made, Submission)
    return made


def event(shape: Any, *arguments: Any, **named: Any) -> Event:
    return submission(shape, *arguments, **named).event


def configured(**settings: Any) -> Connector:
    lines = [
        f"{name} = {json.dumps(value) if not isinstance(value, dict) else table(value)}"
        for name, value in settings.items()
    ]
    [made] = configuration.read("\n".join(["[[connector]]", *lines]), CATALOG)
    return made


def table(value: dict[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(word)} = {json.dumps(action)}" for word, action in value.items()) + "}"


def change(op: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    return {"op": op, "before": before, "after": after, "ts_ms": 1_714_557_600_000, **more}


ROW = {"id": 17, "name": "north"}
WAS = {"id": 17, "name": "south"}


# CloudEvents


def test_a_binary_cloudevent_has_its_attributes_in_headers_and_its_data_in_the_value() -> None:
    chain = Causation(chain=(Link(event="e0", trigger="t0", execution="x0"),))
    headers = CE | {
        "ce_subject": "été".encode(),
        "ce_time": b"2024-05-01T10:00:00+02:00",
        "ce_project": b"shop",
        "ce_actor": b"ann",
        "ce_causation": causation.to_header(chain).encode(),
        "ce_comexampleother": b"passed over",
        "content-type": b"application/json; charset=utf-8",
    }
    made = submission(CLOUDEVENTS, b'{"a":  1}', headers=headers)
    assert made.project == "shop"
    assert made.event == Event(
        id="c1",
        project_id="",
        resource="Item",
        action="Created",
        entity_id="été",
        entity=b'{"a":  1}',
        actor="ann",
        time=datetime(2024, 5, 1, 8, tzinfo=UTC),
        causation=chain,
    )


@pytest.mark.parametrize("headers", [{}, {"content-type": b"application/cloudevents+json; charset=UTF-8"}])
def test_a_structured_cloudevent_is_the_value(headers: dict[str, bytes]) -> None:
    document = {"specversion": "1.0", "id": "c1", "source": "/x", "type": "x.Item.Deleted", "data": {"id": 5}}
    made = event(CLOUDEVENTS, document, headers=headers)
    assert (made.id, made.action, made.entity_id, made.time) == ("c1", "Deleted", "5", NOW)


@pytest.mark.parametrize(
    ("value", "headers", "path", "reason"),
    [
        (b'{"id":1}', CE | {"ce_type": b"x.Itm.Created"}, "ce_type", "did you mean 'Item'?"),
        (b'{"id":1}', CE | {"ce_specversion": b"0.3"}, "ce_specversion", "'0.3' is not known; expected '1.0'"),
        (b'{"id":1}', CE | {"ce_time": b"today"}, "ce_time", "is not a time"),
        (b'{"id":1}', CE | {"ce_id": b""}, "ce_id", "'' is not an id"),
        (b'{"id":1}', CE | {"ce_id": b"a\x00"}, "ce_id", "without NUL"),
        (b'{"id":1}', CE | {"ce_subject": b"\xff"}, "ce_subject", "is not UTF-8"),
        (b'{"id":1}', CE | {"ce_causation": b"!"}, "ce_causation", "is not base64url"),
        (b'{"id":1}', {"ce_specversion": b"1.0", "ce_id": b"c"}, "ce_source", "is missing"),
        (b'{"id":1}', CE | {"content-type": b"application/avro"}, "content-type", "'application/avro' is not read"),
        (b"{}", CE, "data.id", "is missing"),
        (b"[1]", CE, "data", "expected an object, got [1]"),
        (b'{"id":1', CE, "", "is not JSON"),
        (b'{"id":1,"x":{"a":1,"a":2}}', CE, "x", "comes twice"),
        (b"\xff", CE, "", "byte 0 is not UTF-8"),
        (b"", CE, "data", "expected an object"),
        (b'{"id":"1","source":"/x","type":"x.Item.Created","data":{}}', {}, "specversion", "is missing"),
        (
            b"Obj\x01",
            {"content-type": b"application/cloudevents+avro"},
            "content-type",
            "'application/cloudevents+json'",
        ),
        (b'{"a":"' + b"x" * MAX_EVENT_BYTES + b'"}', CE, "", "at most 1,000,000"),
    ],
)
def test_what_is_wrong_with_a_cloudevent_is_told_by_its_field(
    value: bytes, headers: dict[str, bytes], path: str, reason: str
) -> None:
    refused(CLOUDEVENTS, path, reason, value, headers=headers)


# Debezium


@pytest.mark.parametrize(
    ("document", "action", "entity", "previous"),
    [
        (change("c", None, ROW), "Created", ROW, None),
        (change("r", None, ROW), "Created", ROW, None),
        (change("u", WAS, ROW), "Updated", ROW, WAS),
        (change("u", None, ROW), "Updated", ROW, None),
        (change("d", WAS, None), "Deleted", WAS, None),
        (change("d"), "Deleted", {"id": 17}, None),
    ],
)
@pytest.mark.parametrize("with_schema", [False, True])
def test_a_change_of_a_row_is_an_event(
    document: dict[str, Any], action: str, entity: Any, previous: Any, with_schema: bool
) -> None:
    key: dict[str, Any] = {"id": 17}
    if with_schema:
        document, key = ({"schema": {"type": "struct"}, "payload": part} for part in (document, key))
    made = event(DEBEZIUM, document, key)
    assert (made.resource, made.action, made.entity_id) == ("Item", action, "17")
    assert json.loads(made.entity) == entity
    assert (made.previous and json.loads(made.previous)) == previous
    assert (made.id, made.time) == ("a.topic/2/7", datetime(2024, 5, 1, 10, tzinfo=UTC))


def test_a_row_stays_the_bytes_that_arrived() -> None:
    made = event(DEBEZIUM, b'{"op":"u","before": {"id": 1.50},"after": {"id":1,  "n": 2.0}}', 1)
    assert (made.entity, made.previous, made.time) == (b'{"id":1,  "n": 2.0}', b'{"id": 1.50}', NOW)


def test_the_time_is_the_databases_where_it_is_told() -> None:
    made = event(DEBEZIUM, change("c", None, ROW, source={"ts_ms": 1_714_500_000_250, "table": "x"}), 17)
    assert made.time == datetime(2024, 4, 30, 18, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "entity_id"),
    [
        ({"id": 17}, "17"),
        ("an-id", "an-id"),
        (17, "17"),
        ({"schema": {"type": "int32"}, "payload": 17}, "17"),
        ({"shop": "a/b", "number": 5}, "a%2Fb/5"),
        ({"shop": "a", "number": "b/5"}, "a/b%2F5"),
        ({"payload": 1}, "1"),
    ],
)
def test_the_key_of_the_record_names_the_entity(key: Any, entity_id: str) -> None:
    assert event(DEBEZIUM, change("c", None, ROW), key).entity_id == entity_id


def test_a_column_names_the_entity_where_the_settings_say_so() -> None:
    shape = configured(topic="t", shape="debezium", resource="item", entity_id="name").shape
    assert event(shape, change("c", None, ROW)).entity_id == "north"
    assert event(shape, change("d", ROW, None)).entity_id == "north"
    refused(shape, "row.name", "expected a string or a whole number, got [1]", change("c", None, {"name": [1]}))
    refused(shape, "row.name", "is missing", change("c", None, {"id": 1}))


@pytest.mark.parametrize(
    "value", [None, {"schema": None, "payload": None}, b"null", change("t"), change("m", message={"prefix": "x"})]
)
def test_what_changes_no_entity_is_passed_over(value: Any) -> None:
    assert DEBEZIUM.event(record(value, {"id": 1}), CATALOG) is None


@pytest.mark.parametrize(
    ("value", "key", "path", "reason"),
    [
        (change("x", None, ROW), 1, "op", "'x' is not known; expected c, r, u, d, t or m"),
        ({"before": None}, 1, "op", "is missing"),
        (change("c"), 1, "after", "expected an object, got null"),
        (change("c", None, [1]), 1, "after", "expected an object, got [1]"),
        (change("u", "text", ROW), 1, "before", "expected an object"),
        (change("c", None, ROW), None, "key", "is missing: say which column is the id with 'entity_id'"),
        (change("d"), None, "key", "is missing"),
        (change("c", None, ROW), {"id": None}, "key.id", "null is not an id"),
        (change("c", None, ROW), {"id": True}, "key.id", "true is not an id"),
        (change("c", None, ROW), {"id": 1.5}, "key.id", "1.5 is not an id"),
        (change("c", None, ROW), {}, "key", "'' is not an id"),
        (change("c", None, ROW), [1], "key", "[1] is not an id"),
        (change("c", None, ROW), b"Struct{id=1}", "key", "is not JSON"),
        (change("c", None, ROW), "x" * 513, "key", "is not an id: expected 1 to 512 characters"),
        (change("c", None, ROW, ts_ms=10**18), 1, "ts_ms", "is outside the years 1 to 9999"),
        (change("c", None, ROW, ts_ms="now"), 1, "ts_ms", "expected a whole number or null, got a string"),
        (b"[]", 1, "", "expected an object, got an array"),
        (b"nonsense", 1, "", "is not JSON"),
        (b'{"op":"c","after":{"id":1,"id":2}}', 1, "after", 'the key "id" comes twice'),
    ],
)
def test_what_is_wrong_with_a_change_is_told_by_its_field(value: Any, key: Any, path: str, reason: str) -> None:
    refused(DEBEZIUM, path, reason, value, key)


# Plain JSON, mapped


LABEL = {"kind": "moved", "at": 1_714_557_600_000, "by": "ann", "doc": {"_id": 17, "x": 1}, "was": {"_id": 17}}


def test_every_field_is_found_by_its_path() -> None:
    made = event(MAPPING, LABEL)
    assert (made.resource, made.action, made.entity_id, made.actor) == ("Annotation", "Updated", "17", "ann")
    assert (made.entity, made.previous) == (b'{"_id": 17, "x": 1}', b'{"_id": 17}')
    assert (made.id, made.time) == ("a.topic/2/7", datetime(2024, 5, 1, 10, tzinfo=UTC))


def test_what_may_be_left_out_has_a_meaning() -> None:
    shape = configured(topic="t", shape="mapping", resource="Item", action="Created").shape
    made = submission(shape, b' {"id": "i1"} ')
    assert (made.project, made.event.entity, made.event.entity_id) == (None, b'{"id": "i1"}', "i1")
    assert (made.event.id, made.event.time, made.event.previous) == ("a.topic/2/7", NOW, None)
    without = {name: value for name, value in LABEL.items() if name not in ("was", "at", "by")}
    assert event(MAPPING, {**without, "was": None}).time == NOW
    assert (event(MAPPING, without).previous, event(MAPPING, without).actor) == (None, None)


def test_ids_and_projects_come_from_the_document_too() -> None:
    shape = configured(
        topic="t", shape="mapping", resource="Item", action="Created", id="meta.id", project_path="meta.tenant"
    ).shape
    made = submission(shape, {"id": 1, "meta": {"id": 99, "tenant": "shop"}})
    assert (made.event.id, made.project) == ("99", "shop")


def test_a_truth_or_a_number_may_say_the_action() -> None:
    shape = configured(
        topic="t", shape="mapping", resource="Item", action_path="del", actions={"true": "Deleted", "0": "Updated"}
    ).shape
    assert event(shape, {"id": 1, "del": True}).action == "Deleted"
    assert event(shape, {"id": 1, "del": 0}).action == "Updated"


@pytest.mark.parametrize("value", [None, LABEL | {"kind": "viewed"}])
def test_tombstones_and_ignored_words_are_passed_over(value: Any) -> None:
    assert MAPPING.event(record(value), CATALOG) is None


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (LABEL | {"kind": "mooved"}, "kind", "'mooved' is not among the actions; did you mean 'moved'?"),
        (LABEL | {"kind": None}, "kind", "is missing"),
        (LABEL | {"kind": {"a": 1}}, "kind", 'expected a string or a whole number, got {"a": 1}'),
        (LABEL | {"doc": None}, "doc", "expected an object, got null"),
        (LABEL | {"doc": [1]}, "doc", "expected an object, got [1]"),
        (LABEL | {"doc": {"x": 1}}, "doc._id", "is missing"),
        (LABEL | {"doc": {"_id": 1.5}}, "doc._id", "got 1.5"),
        (LABEL | {"doc": {"_id": ""}}, "doc._id", "'' is not an id"),
        (LABEL | {"was": 1}, "was", "expected an object, got 1"),
        (LABEL | {"at": "today"}, "at", '"today" is not a time such as 2024-05-01T12:00:00Z, or milliseconds'),
        (LABEL | {"at": -(10**17)}, "at", "is outside the years 1 to 9999"),
        (LABEL | {"by": "a\x00"}, "by", "without NUL"),
        (b"[1]", "", "expected an object, got [1]"),
        (b"text", "", "expected an object, got text"),
        (b'{"kind"', "", "is not JSON"),
        (b'{"kind":"moved","doc":{"_id":1},"doc":{"_id":2}}', "", 'the key "doc" comes twice'),
    ],
)
def test_what_is_wrong_with_a_mapped_document_is_told_by_its_field(value: Any, path: str, reason: str) -> None:
    refused(MAPPING, path, reason, value)


# All shapes


@given(st.none() | st.binary(max_size=60), st.none() | st.binary(max_size=20))
def test_any_bytes_are_an_event_or_nothing_or_an_invalid_event(value: bytes | None, key: bytes | None) -> None:
    for shape in (CLOUDEVENTS, DEBEZIUM, MAPPING):
        for headers in ({}, CE):
            try:
                shape.event(record(value, key, headers=headers), CATALOG)
            except InvalidEvent:
                pass


def test_a_record_that_is_read_again_is_the_same_event() -> None:
    for shape, value in ((DEBEZIUM, change("c", None, ROW)), (MAPPING, LABEL)):
        again = [event(shape, value, 17, offset=offset) for offset in (7, 7, 8)]
        assert again[0] == again[1]
        assert again[0].id != again[2].id


def refused(shape: Any, path: str, reason: str, *arguments: Any, **named: Any) -> None:
    with pytest.raises(InvalidEvent) as found:
        shape.event(record(*arguments, **named), CATALOG)
    assert (found.value.path, reason in found.value.reason or found.value.reason) == (path, True)
    assert len(found.value.reason) < 400


# The settings


def test_the_example_has_a_connector_of_each_shape() -> None:
    connectors = configuration.read(EXAMPLE, CATALOG)
    assert [(one.topic, one.project) for one in connectors] == [
        ("cameras", "demo"),
        ("shop.public.pictures", "demo"),
        ("labels", "demo"),
    ]
    assert [type(one.shape) for one in connectors] == list(configuration.SHAPES.values())


def test_no_blocks_are_no_connectors() -> None:
    assert configuration.read("# nothing yet", CATALOG) == []


GOOD = '[[connector]]\ntopic = "a"\nshape = "cloudevents"\n'


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("[[connector]\n", "", "is not TOML"),
        ("[[conector]]\n", "conector", "is not known; expected blocks that begin with [[connector]]"),
        ("[connector]\n", "connector", "is not a list of blocks"),
        ('[[connector]]\nshape = "debezium"', "connector[0].topic", "is missing"),
        ('[[connector]]\ntopic = "t"', "connector[0].shape", "is missing"),
        (GOOD.replace('"a"', '""'), "connector[0].topic", "is empty"),
        (GOOD.replace('"a"', "5"), "connector[0].topic", "expected a string, got a whole number"),
        (
            GOOD.replace("cloudevents", "debezum"),
            "connector[0].shape",
            "'debezum' is not known; did you mean 'debezium'?",
        ),
        (GOOD + 'resource = "Item"', "connector[0].resource", "is not a known field"),
        (GOOD + 'project = "../x"', "connector[0].project", "'../x' is not a name"),
        (GOOD + GOOD, "connector[1].topic", "'a' is that of connector[0] already"),
        (GOOD.replace("cloudevents", "debezium"), "connector[0].resource", "is missing"),
        (GOOD.replace("cloudevents", "debezium") + 'resource = "Itm"', "connector[0].resource", "did you mean 'Item'?"),
        (
            GOOD.replace("cloudevents", "debezium") + 'resource = "ItemStatus"',
            "connector[0].resource",
            "'Created' is not an action of ItemStatus",
        ),
        (
            GOOD.replace("cloudevents", "mapping") + 'resource = "Item"',
            "connector[0].action",
            "say either 'action', or",
        ),
        (
            GOOD.replace("cloudevents", "mapping") + 'resource = "Item"\naction = "Creatd"',
            "connector[0].action",
            "'Creatd' is not an action of Item; did you mean 'Created'?",
        ),
        (
            GOOD.replace("cloudevents", "mapping") + 'resource = "Item"\naction_path = "k"',
            "connector[0].actions",
            "is missing",
        ),
        (
            GOOD.replace("cloudevents", "mapping") + 'resource = "Item"\naction_path = "k"\nactions = {x = "Creatd"}',
            "connector[0].actions.x",
            "did you mean 'Created'?",
        ),
        (
            GOOD.replace("cloudevents", "mapping") + 'resource = "Item"\naction = "Created"\nignored = ["x"]',
            "connector[0].action",
            "'Created' is for every record",
        ),
        (
            GOOD.replace("cloudevents", "mapping") + 'resource = "Item"\naction = "Created"\nentity_ids = "x"',
            "connector[0].entity_ids",
            "did you mean 'entity_id'?",
        ),
    ],
)
def test_what_is_wrong_in_the_settings_is_told_by_its_block_and_field(text: str, path: str, reason: str) -> None:
    with pytest.raises(Invalid) as found:
        configuration.read(text, CATALOG)
    assert (found.value.path, reason in found.value.reason or found.value.reason) == (path, True)


def test_resources_are_those_of_the_deployment() -> None:
    own = Catalog.with_additions(["Order:Created,Updated,Deleted"])
    text = '[[connector]]\ntopic = "orders"\nshape = "debezium"\nresource = "order"'
    [connector] = configuration.read(text, own)
    made = connector.shape.event(record(change("c", None, ROW), 17), own)
    assert made is not None
    assert made.event.resource == "Order"
