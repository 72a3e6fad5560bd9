"""The four edges where two real technologies stand behind one contract.

Each protocol is defined by its conformance suite (`tests/contract/`), which runs over every driver. PostgreSQL itself
is in both profiles and is no port. Every hop works in batches: a call takes or gives many.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from backbone.model.definitions import Service
from backbone.model.events import DeadLetter, Event, RecordedEvent
from backbone.model.messages import Report, WorkItem


class EventBatch(Protocol):
    """What was read in one go. Until `commit`, a crash brings the same events again."""

    @property
    def records(self) -> Sequence[RecordedEvent]: ...

    @property
    def rejects(self) -> Sequence[DeadLetter]:
        """What lay in the log and could not be read as an event."""

    async def commit(self) -> None: ...


class EventLog(Protocol):
    in_store: bool
    """The log is in the store's database: what was read stays where executions find it, and a commit of the position
    cannot outlive the records that came before it. Otherwise what matched is kept beside its execution, durably."""

    async def append(self, events: Sequence[Event]) -> None:
        """Return once the events would survive losing us. An id that its project has already is not appended again;
        a log that is not `in_store` may give it twice, and the pipeline sees that it is one event."""

    def read(self, limit: int) -> AsyncGenerator[EventBatch, None]:
        """Batches of at least one event, in order for each entity, for ever. One reader at a time has a share of the
        log; others wait to take over. Nothing that was appended is passed over, however late its writer finished."""


TAKEN_AT_ONCE = 100
"""Items. What one asks for waits for the others, and the cost of a round trip is gone long before."""


class WorkQueue(Protocol):
    in_store: bool
    """The queue is in the store's database: what records an execution puts it in the queue in one transaction."""

    async def put(self, items: Sequence[WorkItem]) -> None:
        """Return once the queue would survive losing us. Putting an item twice is allowed; it is taken once."""

    def announce(self, service_ids: Iterable[str]) -> None:
        """The store's own transaction put items for these services: those who wait for them look again."""

    def channels(self, service_ids: Iterable[str]) -> Sequence[str]:
        """What such a transaction may notify instead, where its commit does not wait for the disk. None for a queue
        that is not `in_store`."""

    async def take(self, service_id: str, session: UUID, limit: int) -> Sequence[WorkItem]:
        """Wait for work; return at least one item, at most `limit` and `TAKEN_AT_ONCE`, leased to the session. Others
        may be kept from as many as there is room for beyond: whoever stops taking says so to `forgo`."""

    async def forgo(self, service_id: str) -> None:
        """What was fetched ahead for this service is for others. A later `take` is allowed."""

    async def depth(self) -> Mapping[str, int]:
        """Items waiting, by service. A service that is absent has none."""


class ReportBatch(Protocol):
    @property
    def reports(self) -> Sequence[Report]: ...

    async def acknowledge(self) -> None:
        """They are settled; until then a crash brings them again."""


class Reports(Protocol):
    in_store: bool
    """The reports are in the store's database: acknowledging them cannot outlive what was settled before."""

    async def send(self, reports: Sequence[Report]) -> None:
        """Return once the reports would survive losing us. Those of one execution arrive in the order sent."""

    async def beat(
        self, session: UUID, service_id: str, lease: timedelta, untold: Sequence[UUID] = ()
    ) -> Sequence[UUID]:
        """The session lives and keeps its leases for `lease` from now, by the store's clock; those of the executions
        that it began and could not report yet (`untold`), too. Returns those that somebody asked to end."""

    async def leave(self, session: UUID) -> None:
        """The session ended in order; what it still holds may be given to another at once."""

    def receive(self, limit: int) -> AsyncGenerator[ReportBatch, None]:
        """Batches of at least one report, for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    service_id: str
    name: str
    ready: bool
    reason: str
    since: datetime


class AgentPool(Protocol):
    async def resize(self, service: Service, replicas: int) -> None:
        """Have `replicas` agents for this version of the service. Those too many finish what they hold and go."""

    async def observe(self) -> Sequence[AgentState]: ...

    async def close(self, grace: timedelta) -> None:
        """Every agent drains and goes; what is left after `grace` is killed. Nothing stays behind."""
