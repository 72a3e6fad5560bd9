"""An event as a Kafka record and back: what is taken from whom, and what is refused with which reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.kafka import records
from backbone.kafka.producer import partition_of
from backbone.model.causation import Causation, Link
from backbone.model.errors import InvalidEvent
from backbone.model.events import MAX_EVENT_BYTES, Event
from backbone.model.resources import Catalog

NOW = datetime(2024, 5, 1, tzinfo=UTC)
PROJECT = "00000000-0000-4000-8000-000000000001"
CATALOG = Catalog()
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT = Event(
    id="upload-17",
    project_id=PROJECT,
    resource="Item",
    action="Updated",
    entity_id="item-17",
    entity=b'{"id":"item-17","n":1.50}',
    previous=b'{"id":"item-17"}',
    actor="someone",
    time=datetime(2024, 5, 1, 12, 0, 0, 250_000, UTC),
    causation=Causation(chain=(Link(event="e", trigger="t", execution="x"),)),
    traceparent=TRACE,
    tracestate="rojo=1",
)
LEAST = b'{"resource": "Item", "action": "Created", "entity": {"id": "item-17"}}'


@dataclass
class Record:
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 7
    topic: str = "events"
    partition: int = 3
    timestamp: int = 1714564800000
    key: bytes | None = field(default=None)


def judge(record: Record) -> Event:
    return records.judge(record, CATALOG, NOW).event


def refused(record: Record) -> tuple[str, str]:
    assert records.judged(record) is None
    with pytest.raises(InvalidEvent) as found:
        judge(record)
    return found.value.path, found.value.reason


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        msgspec.structs.replace(EVENT, previous=None, actor=None, causation=None, traceparent=None, tracestate=None),
    ],
)
def test_an_event_of_ours_comes_back_as_it_was(event: Event) -> None:
    key, value = records.encode(event)
    assert key == b"item-17"
    assert records.judged(Record(value, records.JUDGED)) == event


def test_what_one_of_us_wrote_is_also_understood_without_the_header() -> None:
    _, value = records.encode(EVENT)
    submission = records.judge(Record(value), CATALOG, NOW)
    assert (submission.project, submission.event) == (PROJECT, msgspec.structs.replace(EVENT, project_id=""))


def test_a_record_of_somebody_else_is_judged_here() -> None:
    _, value = records.encode(EVENT)
    assert records.judged(Record(value)) is None
    assert records.judged(Record(value, (*records.JUDGED, ("traceparent", b"00-1-2-01")))) is None


@pytest.mark.parametrize(
    "odd",
    [
        {"id": ""},
        {"id": "x" * 513},
        {"id": "a\x00"},
        {"entityId": ""},
        {"entityId": "x" * 513},
        {"actor": "x" * 513},
        {"entity": [1]},
        {"entity": None},
        {"previous": [1]},
        {"time": "2024-05-01T12:00:00"},
        {"time": "today"},
        {"causation": {"chain": [{"event": "e", "trigger": "t", "execution": "x"}] * 65}},
        {"causation": "nonsense"},
        {"traceparent": "nonsense"},
        {"tracestate": "nonsense"},
        {"projectId": 1},
        {"resource": None},
    ],
    ids=str,
)
def test_what_is_odd_about_a_judged_record_is_judged_again(odd: dict[str, Any]) -> None:
    document = {**json.loads(records.encode(EVENT)[1]), **odd}
    assert records.judged(Record(json.dumps(document).encode(), records.JUDGED)) is None


@given(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: b'{"id": "' + text.encode() + b'"')))
def test_no_value_whatever_breaks_the_reader(value: bytes) -> None:
    assert records.judged(Record(value, records.JUDGED)) is None
    refused(Record(value))


@pytest.mark.parametrize("character", [chr(code) for code in (*range(32), 127, 0xD800)])
def test_no_id_holds_what_no_id_may(character: str) -> None:
    """Neither as it is nor escaped: the store would refuse it for ever."""
    for written in (character.encode(errors="surrogatepass"), json.dumps(character)[1:-1].encode()):
        value = records.encode(EVENT)[1].replace(b"upload-17", written)
        found = records.judged(Record(value, records.JUDGED))
        assert found is None or (found.id == character and character not in "\x00\ud800")


def test_the_least_that_a_producer_must_say_is_enough() -> None:
    event = judge(Record(LEAST))
    assert (event.resource, event.action, event.entity_id, event.time) == ("Item", "Created", "item-17", NOW)


def test_an_event_without_an_id_has_the_same_one_whenever_its_record_is_read() -> None:
    first = judge(Record(LEAST)).id
    assert judge(Record(LEAST)).id == first
    null = Record(LEAST[:-1] + b', "id": null}')
    assert judge(null).id == first
    others = [
        Record(LEAST, offset=8),
        Record(LEAST, partition=4),
        Record(LEAST, topic="other"),
        Record(LEAST, timestamp=1),
    ]
    assert len({first, *(judge(other).id for other in others)}) == 5


def test_cloudevents_come_structured_and_binary() -> None:
    data = {"name": "north-17.jpg"}
    attributes = {"specversion": "1.0", "id": "c1", "source": "/x", "type": "com.example.Item.Created"}
    more = {"subject": "item-17", "time": "2024-05-01T12:00:00Z", "actor": "someone", "project": "demo"}
    attributes.update(more)
    structured = Record(json.dumps({**attributes, "data": data}).encode())
    binary = Record(
        json.dumps(data).encode(),
        (("content-type", b"application/json"), *((f"ce_{name}", text.encode()) for name, text in attributes.items())),
    )
    first, second = (records.judge(record, CATALOG, NOW) for record in (structured, binary))
    assert first == second
    assert (first.project, first.event.id, first.event.entity_id) == ("demo", "c1", "item-17")


def test_an_event_that_brings_no_traceparent_has_the_one_of_its_record() -> None:
    header, other = (("traceparent", TRACE.encode()),), TRACE.replace("-01", "-00")
    own = LEAST[:-1] + b', "traceparent": "%b"}' % other.encode()
    binary = (("ce_specversion", b"1.0"), ("ce_id", b"c1"), ("ce_source", b"/x"), ("ce_type", b"Item.Created"), *header)
    assert judge(Record(LEAST, header)).traceparent == TRACE
    assert judge(Record(own, header)).traceparent == other
    assert judge(Record(b'{"id": "i1"}', binary)).traceparent == TRACE
    assert judge(Record(b'{"id": "i1"}', (*binary, ("ce_traceparent", other.encode())))).traceparent == other
    assert judge(Record(LEAST, (("traceparent", b"nonsense"),))).traceparent is None


def test_a_tracestate_comes_with_the_traceparent_that_it_belongs_to() -> None:
    headers = (("traceparent", TRACE.encode()), ("tracestate", b"rojo=1"))
    other = TRACE.replace("-01", "-00")
    own = LEAST[:-1] + b', "traceparent": "%b"}' % other.encode()
    both = LEAST[:-1] + b', "traceparent": "%b", "tracestate": "a=b"}' % other.encode()
    assert [judge(Record(value, headers)).tracestate for value in (LEAST, own, both)] == ["rojo=1", None, "a=b"]
    assert judge(Record(LEAST, headers[1:])).tracestate is None


def test_data_cannot_slip_attributes_into_a_binary_cloudevent() -> None:
    headers = (("ce_specversion", b"1.0"), ("ce_id", b"c1"), ("ce_source", b"/x"), ("ce_type", b"Item.Created"))
    path, reason = refused(Record(b'{"id":"1"},"actor":"somebody else"', headers))
    assert (path, "JSON" in reason) == ("", True)


@pytest.mark.parametrize(
    ("record", "path", "reason"),
    [
        (Record(None), "", "the record has no value; expected an event"),
        (Record(b"\x00\x01garbage"), "", "is not JSON: unexpected character: line 1 column 1 (char 0)"),
        (Record(b"\xff\xfe{}"), "", "byte 0 is not UTF-8"),
        (Record(b'{"resource": "Item"}'), "action", "is missing"),
        (
            Record(LEAST, (("trigger-engine-event", b"2"),)),
            "headers.trigger-engine-event",
            "'2' is not known; expected '1'",
        ),
        (Record(LEAST, (("h", b""),) * 65), "headers", "there are 65; at most 64 are taken"),
        (Record(LEAST, (("h", b"x" * 32_768),)), "headers", "they have 32,769 bytes; at most 32,768 are taken"),
        (Record(LEAST, (("ce_specversion", b"1.0"), ("ce_id", b"\xff"))), "headers.ce_id", "is not UTF-8"),
        (
            Record(b" " * MAX_EVENT_BYTES + LEAST),
            "",
            f"the event has {MAX_EVENT_BYTES + len(LEAST):,} bytes; at most {MAX_EVENT_BYTES:,} are taken",
        ),
        (
            Record(LEAST.replace(b"item-17", b"a\\u0000")),
            "entity.id",
            "'a\\x00' is not an id: expected 1 to 512 characters without NUL",
        ),
    ],
)
def test_what_is_refused_names_the_field_and_the_value(record: Record, path: str, reason: str) -> None:
    found = refused(record)
    if reason.startswith("is not JSON"):
        assert (found[0], found[1][:11]) == (path, reason[:11])
    else:
        assert found == (path, reason)


def test_the_largest_event_that_is_taken_over_http_fits() -> None:
    room = MAX_EVENT_BYTES - len(LEAST) - 20
    entity = b'{"id":"item-17","x":"%b"}' % (b"x" * room)
    event = msgspec.structs.replace(EVENT, entity=entity, previous=None, id="\n" * 512, entity_id="\t" * 512)
    _, value = records.encode(event)
    assert MAX_EVENT_BYTES < len(value) <= records.MAX_VALUE_BYTES
    assert records.judged(Record(value, records.JUDGED)) == event


def test_a_larger_one_is_refused_by_its_size() -> None:
    event = msgspec.structs.replace(EVENT, entity=b'{"id":"%b"}' % (b"x" * records.MAX_VALUE_BYTES))
    with pytest.raises(InvalidEvent, match=r"event 'upload-17' has 1,01\d,\d{3} bytes; at most 1,016,384 are taken"):
        records.encode(event)


@pytest.mark.parametrize(
    ("key", "partition"), [(b"21", 973932308), (b"foobar", 790332482), (b"a-little-bit-long-string", 985981536)]
)
def test_keys_go_to_the_partitions_that_other_clients_choose(key: bytes, partition: int) -> None:
    """murmur2 as Kafka's own client has it in its tests: these numbers, each with a minus."""
    assert partition_of(key, 2**31) == (-partition) & 0x7FFFFFFF
