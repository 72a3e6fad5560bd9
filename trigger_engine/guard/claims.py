"""The execution that a match asks for, with the id that only this match can have.

Once claims (trigger, entity): the row of that claim decides who runs, now and after a crash. Always claims
(trigger, event): the id derived from the two is the claim. Ids of entities and of events are those of a project, so a
trigger of every project claims them with the event's project, to which the execution belongs too.
"""

from __future__ import annotations

from backbone.model import causation, ids
from backbone.model.causation import Causation
from backbone.model.events import RecordedEvent
from backbone.model.executions import NewExecution
from backbone.model.matches import VERSIONS_OF_SERVICES, LiveTrigger


def execution_of(trigger: LiveTrigger, recorded: RecordedEvent, chain: Causation) -> NewExecution:
    event = recorded.event
    prefix = f"{event.project_id}/" if trigger.project_id is None else ""
    claim = event.entity_id if trigger.once else event.id
    return NewExecution(
        id=ids.execution_id(recorded.received, trigger.id, prefix + claim),
        project_id=event.project_id,
        service_id=trigger.service_id,
        trigger_id=trigger.id,
        function_name=trigger.function_name,
        max_attempts=trigger.max_attempts,
        event_day=recorded.received.date(),
        event_id=event.id,
        resource=event.resource,
        action=event.action,
        entity_id=event.entity_id,
        once=trigger.once,
        claim_prefix=prefix,
        came_by=causation.encode(chain.unsigned) if chain.depth else None,
        input=trigger.input,
        trigger_version=trigger.version // VERSIONS_OF_SERVICES,
    )
