"""Stage 3: what may run. Loops are stopped here; Once and Always become claims that the store decides on."""

from __future__ import annotations

from collections.abc import Sequence

from backbone.model import causation
from backbone.model.causation import Causation
from backbone.model.events import Event
from backbone.model.executions import NewExecution, StoppedMatch
from backbone.model.matches import LiveTrigger, Matches
from trigger_engine.guard import claims, loops
from trigger_engine.guard.loops import Limits

__all__ = ["Limits", "judge"]

_ROOT = Causation()


def judge(matches: Sequence[Matches], limits: Limits) -> tuple[list[NewExecution], list[StoppedMatch]]:
    """Split the matches into those to record and those that are stopped. Pure."""
    admitted: list[NewExecution] = []
    stopped: list[StoppedMatch] = []
    for of_event in matches:
        recorded = of_event.recorded
        chain = recorded.event.causation or _ROOT
        for trigger in of_event.triggers:
            reason = loops.reason_to_stop(trigger, chain, limits)
            if reason is None:
                admitted.append(claims.execution_of(trigger, recorded, chain))
            else:
                stopped.append(_stopped(trigger, recorded.event, chain, reason))
    return admitted, stopped


def _stopped(trigger: LiveTrigger, event: Event, chain: Causation, reason: str) -> StoppedMatch:
    return StoppedMatch(
        trigger_id=trigger.id,
        event_id=event.id,
        project_id=event.project_id,
        entity_id=event.entity_id,
        reason=reason,
        causation=causation.encode(chain),
    )
