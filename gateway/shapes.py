"""What the API says: its documents as structs, from which the OpenAPI document is made too.

Names and spellings are the platform's. A field typed `Any` may carry JSON text that is passed on unread.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from backbone.model.causation import Link
from backbone.model.definitions import Module, Package, Project, Runtime, Service
from backbone.model.loops import LoopKind, LoopProtection

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""As somebody writes it: with its offset."""


class Shape(msgspec.Struct, kw_only=True, rename="camel"):
    pass


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Every refusal. `path` names the field that is wrong."""

    message: str
    status: int
    path: str | None = None


class Rejected(Shape):
    """An event of a request that was not taken; it is kept as a dead letter."""

    index: int
    path: str
    reason: str
    dead_letter: int


class Accepted(Shape):
    accepted: int
    ids: list[str]


class PartlyAccepted(Accepted):
    message: str
    status: int
    rejected: list[Rejected]


class EventDocument(Shape):
    """An event as it is published, in our own shape."""

    resource: str
    action: str
    entity: dict[str, Any]
    id: str | None = None
    project: str | None = None
    project_id: str | None = None
    entity_id: str | None = None
    previous: dict[str, Any] | None = None
    actor: str | None = None
    time: datetime | None = None
    causation: dict[str, Any] | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class Events(Shape):
    events: list[EventDocument]


class EventShape(Shape, omit_defaults=True):
    id: str
    project_id: str
    resource: str
    action: str
    entity_id: str
    entity: dict[str, Any]
    time: datetime
    received: datetime
    previous: dict[str, Any] | None = None
    actor: str | None = None
    causation: dict[str, Any] | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class NewProject(Shape):
    name: str


class ProjectShape(Shape):
    id: str
    name: str
    created_at: int  #: milliseconds since 1970
    updated_at: int


class Identified(Shape):
    id: str


class CodebaseReference(Shape):
    item_id: str
    type: str = "item"


class PackageShape(Shape):
    id: str
    name: str
    project_id: str
    version: str
    revision: int
    modules: list[Module]
    codebase: CodebaseReference
    created_at: datetime
    updated_at: datetime
    creator: str
    type: str = "faas"


class Versions(Shape):
    dtlpy: str | None = None


class ServiceShape(Shape):
    id: str
    name: str
    project_id: str
    package_id: str
    package_revision: str
    module_name: str
    runtime: Runtime
    init_params: dict[str, Any]
    execution_timeout: int
    drain_time: int
    max_attempts: int
    on_reset: str
    active: bool
    version: str
    bot_user_name: str
    created_at: datetime
    updated_at: datetime
    creator: str
    run_execution_as_process: bool = False
    type: str = "regular"


class ReplicaStatus(Shape):
    replica_id: str
    status: bool
    reason: str


class ServiceStatus(Shape):
    num_messages_in_queue: int
    runtime_status: list[ReplicaStatus]


class OperationShape(Shape):
    type: str
    service_id: str
    function_name: str


class TriggerSpecShape(Shape):
    resource: str
    actions: list[str]
    filter: Any
    execution_mode: str
    once_means: str
    input: dict[str, Any]
    loop_protection: LoopProtection
    operation: OperationShape


class TriggerShape(Shape):
    id: str
    name: str
    type: str
    project_id: str | None
    global_: bool = msgspec.field(name="global")  #: of every project
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    creator: str
    spec: TriggerSpecShape
    warnings: list[str] | None = None  #: only when it was made or changed, and only when there are some


class CronSpecShape(Shape):
    cron: str
    start_at: datetime | None
    end_at: datetime | None
    timezone: str
    misfire: str
    overlap: str
    jitter: int  #: seconds
    input: dict[str, Any]
    operation: OperationShape


class CronTriggerShape(Shape):
    """A trigger by the clock."""

    id: str
    name: str
    type: str
    project_id: str | None
    global_: bool = msgspec.field(name="global")
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    creator: str
    spec: CronSpecShape


class NextFires(Shape):
    """What a schedule means: in words, and its next fires, whether the trigger is active or not."""

    words: str
    timezone: str
    last_fire: datetime | None
    fires: list[datetime]


class MissedFiresShape(Shape):
    """Fires in a row that did not come, for one reason. `fires` is how many; of very many at least so many."""

    trigger_id: str
    trigger_name: str | None
    project_id: str | None
    first: datetime
    last: datetime
    fires: int
    reason: str


class MissedFires(Shape):
    items: list[MissedFiresShape]


class DifferenceShape(Shape):
    field: str
    before: Any
    after: Any


class TriggerChangeShape(Shape):
    """What led to a version. `trigger` is that version whole, as triggers are shown."""

    version: int
    at: datetime
    until: datetime | None  #: null: it is the one of now
    actor: str
    change: str
    differences: list[DifferenceShape]
    trigger: dict[str, Any]


class TriggerHistory(Shape):
    items: list[TriggerChangeShape]
    has_next_page: bool


class ClaimShape(Shape):
    """Held by the execution; `triggerName` is null when nothing of the trigger is known any more."""

    trigger_id: str
    trigger_name: str | None
    project_id: str | None  #: of the entity, where the trigger is of every project
    entity_id: str
    execution_id: str
    event_id: str
    claimed_at: datetime


class Claims(Shape):
    """`next` goes into `after` for the page that follows; null on the last one."""

    items: list[ClaimShape]
    next: str | None


class FreedClaimShape(Shape):
    reset: int
    at: datetime
    actor: str
    reason: str
    execution_id: str
    event_id: str
    claimed_at: datetime


class ClaimHistory(Shape):
    """Who holds the claims now, one for each project that has such an entity, and which were freed by resets."""

    held: list[ClaimShape]
    resets: list[FreedClaimShape]


class ClaimSelection(Shape):
    """At least one of trigger, entity and project. `filter` is DQL over the entity as the claiming event had it."""

    trigger: str | None = None
    entity: str | None = None
    project: str | None = None
    since: Moment | None = None
    before: Moment | None = None
    filter: Any = None


class ClaimReset(ClaimSelection, kw_only=True):
    """Some thousand claims are looked at a call. `next` of the answer goes into `after`, `id` into `reset`."""

    reason: str
    dry_run: bool = False
    after: str | None = None
    reset: int | None = None


class ClaimsFreed(Shape):
    id: int | None  #: of the reset; null for a dry run
    freed: int  #: in this call
    unknown: int  #: whose event retention has removed, so that the filter could not be asked; they stay
    next: str | None


class ClaimResetShape(Shape):
    id: int
    at: datetime
    actor: str
    reason: str
    asked: Any
    claims: int


class ClaimResets(Shape):
    items: list[ClaimResetShape]
    has_next_page: bool


class NewExecution(Shape):
    function_name: str | None = None
    input: dict[str, Any] | None = None
    project_id: str | None = None


class Progress(Shape):
    status: str | None = None
    percent_complete: int | None = None
    message: str | None = None
    output: Any = None


class StatusShape(Shape):
    timestamp: datetime
    status: str
    percent_complete: int | None = None
    message: str | None = None
    error: str | None = None
    output: Any = None


class ResourceShape(Shape):
    id: str
    type: str


class EventContext(Shape):
    resource: str
    action: str
    source: str
    resource_id: str
    dataset_id: str | None
    project_id: str
    event_id: str


class ExecutionShape(Shape):
    id: str
    project_id: str
    service_id: str
    service_name: str | None
    module_name: str | None
    package_id: str | None
    package_revision: str | None
    function_name: str
    trigger_id: str | None
    input: Any
    output: Any
    status: list[StatusShape]
    status_log: list[StatusShape]
    latest_status: StatusShape
    attempts: int
    max_attempts: int
    to_terminate: bool
    duration: float | None
    resources: list[ResourceShape]
    event_context: EventContext | None
    causation: Any
    created_at: datetime
    updated_at: datetime
    creator: str


class LogLine(Shape):
    timestamp: Any
    level: Any
    message: Any
    attempt: int


class Logs(Shape):
    logs: list[LogLine]


class Query(Shape):
    """`filter` is DQL over the documents that come back; `{"projectId": null}` in it asks for nothing."""

    resource: str
    filter: Any = None
    page: int = 0
    page_size: int = 100
    sort: dict[str, str] | None = None


class Page(Shape):
    """`totalItemsCount` is exact up to 100,000."""

    items: list[Any]
    total_items_count: int
    total_pages_count: int
    has_next_page: bool


class DeadLetterShape(Shape, omit_defaults=True):
    id: int
    at: datetime
    source: str
    position: str
    project_id: str | None
    path: str
    reason: str
    bytes: int
    body: str | None = None
    body_base64: str | None = None


class DeadLetters(Shape):
    items: list[DeadLetterShape]
    has_next_page: bool


class ChainLink(Shape):
    event: str
    trigger: str
    trigger_name: str | None
    execution: str


class IncidentShape(Shape):
    """`chain` is what led to the first match that was stopped; where its events brought none, what seems to have."""

    id: int
    state: str
    kind: LoopKind
    at: datetime
    first_at: datetime
    reason: str
    trigger_id: str
    trigger_name: str | None
    event_id: str
    entity_id: str
    project_id: str
    chain: list[ChainLink]
    stopped: int
    waiting: int
    circuit: str | None
    until: datetime | None


class StoppedShape(Shape):
    event_id: str
    entity_id: str
    at: datetime
    released_at: datetime | None


class IncidentInFull(IncidentShape):
    latest: list[StoppedShape]


class SettledIncident(IncidentShape):
    going_on: int


class Incidents(Shape):
    items: list[IncidentShape]


class ConditionShape(Shape):
    """What the filter asks for, and what the entity had there: a value, or the list of those in a list."""

    path: str
    operator: str
    operand: Any
    seen: Any
    missing: bool


class ExecutionOfVerdict(Shape):
    id: str
    status: str


class ClaimOfVerdict(Shape):
    event_id: str
    execution_id: str
    claimed_at: datetime


class VerdictShape(Shape, omit_defaults=True):
    """`missing`: how many conditions kept it from firing; 0 for what matched. `nearChange`: the trigger was changed
    within two seconds of the event, so the engine may have held the version beside this one."""

    trigger_id: str
    trigger_name: str | None
    version: int
    outcome: str
    sentence: str
    missing: int
    near_change: bool = False
    condition: ConditionShape | None = None
    execution: ExecutionOfVerdict | None = None
    claim: ClaimOfVerdict | None = None
    chain: list[ChainLink] | None = None


class VerdictGroup(Shape):
    """Triggers that did not fire for the same reason: their first condition that fails, without what it asks for."""

    outcome: str
    condition: str | None
    triggers: int


class EventOfExplanation(Shape):
    id: str
    project_id: str
    resource: str
    action: str
    entity_id: str
    received: datetime


class Explanation(Shape):
    """Of each trigger that listens to the event. `triggers` has those that matched, then the nearest misses."""

    event: EventOfExplanation
    waiting: bool
    unreadable: str | None
    counts: dict[str, int]
    triggers: list[VerdictShape]
    groups: list[VerdictGroup]


class VerdictOnEvent(VerdictShape, kw_only=True):
    event_id: str
    entity_id: str
    project_id: str
    received: datetime


class Reasons(Shape):
    """Of one trigger. `looked` events were looked at, the newest; `whole`: there were no more since then."""

    trigger_id: str
    since: datetime
    looked: int
    whole: bool
    counts: dict[str, int]
    fired: list[VerdictOnEvent]
    refused: list[VerdictOnEvent]
    nearly: list[VerdictOnEvent]


class Alive(Shape):
    alive: bool


class PartShape(Shape):
    name: str
    role: str
    ready: bool
    detail: str


class Readiness(Shape):
    ready: bool
    parts: list[PartShape]


def project(of: Project) -> ProjectShape:
    made = int(of.created_at.timestamp() * 1000)
    return ProjectShape(id=of.id, name=of.name, created_at=made, updated_at=made)


def package(of: Package) -> PackageShape:
    return PackageShape(
        id=of.id,
        name=of.name,
        project_id=of.project_id,
        version=of.version,
        revision=of.revision,
        modules=list(of.modules),
        codebase=CodebaseReference(item_id=of.codebase_id),
        created_at=of.created_at,
        updated_at=of.updated_at,
        creator=of.creator,
    )


def service(of: Service) -> ServiceShape:
    return ServiceShape(
        id=of.id,
        name=of.name,
        project_id=of.project_id,
        package_id=of.package_id,
        package_revision=f"1.0.{of.package_revision}",
        module_name=of.module_name,
        runtime=of.runtime,
        init_params=of.init_params,
        execution_timeout=int(of.execution_timeout.total_seconds()),
        drain_time=int(of.drain_time.total_seconds()),
        max_attempts=of.max_attempts,
        on_reset=of.on_reset,
        active=of.active,
        version=f"1.0.{of.version}",
        bot_user_name=of.bot,
        created_at=of.created_at,
        updated_at=of.updated_at,
        creator=of.creator,
    )


def link(of: Link, names: dict[str, str]) -> ChainLink:
    return ChainLink(event=of.event, trigger=of.trigger, trigger_name=names.get(of.trigger), execution=of.execution)


def fields(of: Shape) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__struct_fields__}
