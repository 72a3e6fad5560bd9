"""A record of somebody else's topic, as it was found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from backbone.model.event_fields import Submission
from backbone.model.resources import Catalog


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    topic: str
    partition: int
    offset: int
    time: datetime  #: by the broker or the producer, as the topic is set
    key: bytes | None = None
    value: bytes | None = None
    headers: Mapping[str, bytes] = {}

    @property
    def position(self) -> str:
        """The event's id where its source gives it none: what is read twice is one event."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Shape(Protocol):
    """What a file of this package is: how a record of a topic is read."""

    def check(self, catalog: Catalog) -> None:
        """Raises Invalid, with the field of the settings, for what no record could be read with."""

    def event(self, record: Record, catalog: Catalog) -> Submission | None:
        """None for what tells of no change, such as a tombstone. Raises InvalidEvent with the field of the record."""
