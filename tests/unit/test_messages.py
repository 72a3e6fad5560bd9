"""Work items and reports survive the wire; what is neither is refused in one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.model import messages
from backbone.model.messages import Finished, Logged, Progressed, Report, Started, WorkItem

ID = UUID("018f3b5e-0000-8000-8000-000000000001")
NOW = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)

REPORTS: list[Report] = [
    Started(execution_id=ID, attempt=1, at=NOW),
    Progressed(execution_id=ID, attempt=1, number=2, at=NOW, status="half", percent=50, message="é", output=b"{}"),
    Finished(execution_id=ID, attempt=1, max_attempts=3, at=NOW, started_at=NOW, status="success", duration=0.5),
    Logged(execution_id=ID, attempt=1, number=4, at=NOW, lines=b"[]"),
]


@given(st.binary(max_size=50), st.none() | st.binary(max_size=50), st.none() | st.text(st.characters(codec="utf-8")))
def test_a_work_item_survives_and_documents_stay_bytes(input: bytes, entity: bytes | None, actor: str | None) -> None:
    item = WorkItem(
        execution_id=ID,
        attempt=1,
        max_attempts=3,
        service_id="s",
        project_id="p",
        function_name="run",
        recorded_at=NOW,
        input=input,
        entity=entity,
        actor=actor,
        event_time=NOW,
    )
    assert messages.decode_work_item(messages.encode_work_item(item)) == item


def test_reports_of_all_kinds_travel_together_and_in_order() -> None:
    assert messages.decode_reports(messages.encode_reports(REPORTS)) == REPORTS
    assert messages.decode_reports(messages.encode_reports([])) == []


def test_a_time_arrives_as_the_same_moment_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    [report] = messages.decode_reports(messages.encode_reports([Started(execution_id=ID, attempt=1, at=elsewhere)]))
    assert (report.at, report.at.utcoffset()) == (NOW, timedelta(0))


def test_both_are_arrays_so_a_newer_reader_takes_an_older_item() -> None:
    item = WorkItem(
        execution_id=ID,
        attempt=1,
        max_attempts=3,
        service_id="s",
        project_id="p",
        function_name="run",
        recorded_at=NOW,
    )
    fields = msgspec.msgpack.decode(messages.encode_work_item(item))
    assert fields[:6] == [str(ID), 1, 3, "s", "p", "run"]
    assert messages.decode_work_item(msgspec.msgpack.encode(fields[:7])) == item
    assert messages.decode_work_item(msgspec.msgpack.encode([*fields, "of a later release"])) == item


@given(st.binary(max_size=100))
def test_anything_else_is_refused_as_msgspec_refuses(body: bytes) -> None:
    for decode in (messages.decode_work_item, messages.decode_reports):
        try:
            decode(body)
        except msgspec.MsgspecError:
            pass


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x91" * 100_000,
        messages.encode_reports(REPORTS)[:-1],
        messages.encode_reports(REPORTS).replace(b"half", b"\xff\xff\xff\xff"),
        msgspec.msgpack.encode([["paused", str(ID), 1]]),
        msgspec.msgpack.encode([["started", "no id", 1, NOW]]),
    ],
)
def test_reports_that_are_none_are_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        messages.decode_reports(body)
