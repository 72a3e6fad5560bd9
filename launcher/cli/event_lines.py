"""The events of a file, one at a time and each with its place, so that a long file needs no memory.

One JSON document (an event, an array, {"events": [...]}), or one event a line; CloudEvents in any of these. What a
single event says is not looked at: the engine judges it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from backbone.model import envelopes

ENDINGS_OF_LINES = (".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class Numbered:
    place: str  #: `line 12`, or `event 3` of a JSON document
    document: bytes  #: on one line


def read(stream: BinaryIO, name: str = "") -> Iterator[Numbered]:
    """Raises InvalidEvent when the file as a whole is no JSON document."""
    first = next((line for line in stream if line.strip()), b"")
    rest = itertools.chain([first], stream)
    if name.endswith(ENDINGS_OF_LINES) or _is_whole(first):
        return _of_lines(rest)
    return _of_document(b"".join(rest))


def _is_whole(line: bytes) -> bool:
    line = line.strip()
    return line.startswith(b"{") and line.endswith(b"}")


def _of_lines(lines: Iterable[bytes]) -> Iterator[Numbered]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            for document in envelopes.split(line):
                yield Numbered(f"line {number}", _on_one_line(document))


def _of_document(body: bytes) -> Iterator[Numbered]:
    for number, document in enumerate(envelopes.split(body), 1):
        yield Numbered(f"event {number}", _on_one_line(document))


def _on_one_line(document: bytes) -> bytes:
    return document.strip().replace(b"\r", b" ").replace(b"\n", b" ")


def batches(numbered: Iterable[Numbered], most: int, most_bytes: int) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    size = 0
    for one in numbered:
        if batch and (len(batch) == most or size + len(one.document) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.document) + 1
    if batch:
        yield batch
