"""The events of a file, each with its place."""

from __future__ import annotations

import io
import json

import pytest

from backbone.model.errors import InvalidEvent
from launcher.cli import event_lines
from launcher.cli.event_lines import Numbered

ONE, TWO = b'{"id": "1"}', b'{"id": "2"}'


def read(content: bytes, name: str = "<stdin>") -> list[Numbered]:
    return list(event_lines.read(io.BytesIO(content), name))


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (ONE, ["line 1"]),
        (ONE + b"\n\n" + TWO + b"\n", ["line 1", "line 3"]),
        (b"[" + ONE + b"," + TWO + b"]", ["event 1", "event 2"]),
        (b'{\n "id": "1"\n}\n', ["event 1"]),
        (b'{"events": [' + ONE + b"," + TWO + b"]}", ["line 1", "line 1"]),
        (b'\n\n{\n"events": [' + ONE + b"]}", ["event 1"]),
    ],
)
def test_every_shape_of_a_file_is_read(content: bytes, places: list[str]) -> None:
    found = read(content)
    assert [one.place for one in found] == places
    assert [json.loads(one.document)["id"] for one in found] == ["1", "2"][: len(places)]


def test_an_event_over_many_lines_becomes_one_line() -> None:
    (found,) = read(b'[{\r\n  "id": "a\\nb"\r\n}]')
    assert b"\n" not in found.document
    assert json.loads(found.document) == {"id": "a\nb"}


def test_a_broken_line_stays_where_it_is_and_breaks_no_other() -> None:
    found = read(ONE + b'\n{"id"\n' + TWO)
    assert [one.place for one in found] == ["line 1", "line 2", "line 3"]
    assert found[1].document == b'{"id"'


def test_the_files_name_decides_where_the_first_line_does_not() -> None:
    assert [one.place for one in read(b'{"id"\n' + TWO, "events.jsonl")] == ["line 1", "line 2"]


def test_a_file_that_is_no_document_is_told() -> None:
    with pytest.raises(InvalidEvent):
        read(b"[{]")
    with pytest.raises(InvalidEvent, match="empty"):
        read(b" \n ")


def test_a_long_file_is_read_no_further_than_it_is_used() -> None:
    stream = io.BytesIO(b"\n".join([ONE] * 1000))
    next(event_lines.read(stream))
    assert stream.tell() < 100


def test_a_batch_ends_with_its_number_or_its_bytes() -> None:
    lines = [Numbered(str(number), b"x" * 10) for number in range(5)]
    assert [len(batch) for batch in event_lines.batches(lines, 2, 1000)] == [2, 2, 1]
    assert [len(batch) for batch in event_lines.batches(lines, 100, 25)] == [2, 2, 1]
    assert [len(batch) for batch in event_lines.batches(lines, 100, 5)] == [1, 1, 1, 1, 1]
