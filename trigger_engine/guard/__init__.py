"""Stage 3: what may run. Loops are stopped here; Once and Always become claims that the store decides on."""

from __future__ import annotations

from collections.abc import Sequence

from backbone.model import causation
from backbone.model.causation import Causation
from backbone.model.executions import NewExecution, StoppedMatch
from backbone.model.matches import Match
from trigger_engine.guard import claims, loops
from trigger_engine.guard.loops import Limits

__all__ = ["Limits", "judge"]

_ROOT = Causation()


def judge(matches: Sequence[Match], limits: Limits) -> tuple[list[NewExecution], list[StoppedMatch]]:
    """Split the matches into those to record and those that are stopped. Pure."""
    admitted: list[NewExecution] = []
    stopped: list[StoppedMatch] = []
    for match in matches:
        chain = match.recorded.event.causation or _ROOT
        reason = loops.reason_to_stop(match.trigger, chain, limits)
        if reason is None:
            admitted.append(claims.execution_of(match, chain))
        else:
            stopped.append(_stopped(match, chain, reason))
    return admitted, stopped


def _stopped(match: Match, chain: Causation, reason: str) -> StoppedMatch:
    event = match.recorded.event
    return StoppedMatch(
        trigger_id=match.trigger.id,
        event_id=event.id,
        project_id=event.project_id,
        entity_id=event.entity_id,
        reason=reason,
        causation=causation.encode(chain),
    )
