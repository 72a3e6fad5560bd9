"""What every handler works with."""

from __future__ import annotations

from dataclasses import dataclass

from backbone.ports import EventLog, WorkQueue
from backbone.store import definitions
from backbone.store.database import Database, KeptLane
from backbone.store.project_ids import ProjectIds
from backbone.store.signing import SigningKey
from backbone.store.wakeups import SERVICES, Wakeups
from gateway.event_writer import EventWriter
from gateway.settings import GatewaySettings

CREATOR = "api"


@dataclass(frozen=True, slots=True)
class Parts:
    database: Database
    wakeups: Wakeups
    event_log: EventLog
    work_queue: WorkQueue
    settings: GatewaySettings
    projects: ProjectIds
    writer: EventWriter
    signing_key: SigningKey
    leases: KeptLane  #: for what agents ask; durable, as a lease that is forgotten lets a second agent begin

    @classmethod
    def of(
        cls,
        database: Database,
        wakeups: Wakeups,
        event_log: EventLog,
        work_queue: WorkQueue,
        settings: GatewaySettings,
    ) -> Parts:
        projects = ProjectIds(database, make=settings.make_projects, default=settings.default_project)
        return cls(
            database,
            wakeups,
            event_log,
            work_queue,
            settings,
            projects,
            EventWriter(event_log),
            SigningKey(database),
            KeptLane(database, hashes=True),
        )

    def triggers_changed(self) -> None:
        self.wakeups.wake([definitions.TRIGGERS_CHANNEL])

    def services_changed(self) -> None:
        self.wakeups.wake([definitions.TRIGGERS_CHANNEL, SERVICES])
