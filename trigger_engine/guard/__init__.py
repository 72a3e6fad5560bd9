"""Stage 3: what may run. Loops are stopped here; Once and Always become claims that the store decides on.

Asked in this order: the chain that led to the event (`loops`), who wrote it (`loops`), and the circuits (`circuits`),
for what lost both. What a circuit holds waits; the other stops are final unless a person lets them go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from backbone.model import causation
from backbone.model.causation import Causation
from backbone.model.executions import NewExecution, StoppedMatch
from backbone.model.loops import LoopProtection
from backbone.model.matches import LiveTrigger, Matches
from trigger_engine.guard import claims, loops
from trigger_engine.guard.circuits import Circuits
from trigger_engine.guard.loops import Limits, Stop
from trigger_engine.guard.sightings import Sightings, Suspect

__all__ = ["Circuits", "Limits", "Sightings", "Stop", "Suspect", "judge"]

_ROOT = Causation()
_ALL_CLOSED = Circuits()


def judge(
    matches: Sequence[Matches], limits: Limits, circuits: Circuits = _ALL_CLOSED
) -> tuple[list[NewExecution], list[StoppedMatch]]:
    """Split the matches into those to record and those that are stopped; what a trigger ignores is neither. Pure."""
    admitted: list[NewExecution] = []
    stopped: list[StoppedMatch] = []
    for of_event in matches:
        recorded = of_event.recorded
        chain, actor = recorded.event.causation or _ROOT, recorded.event.actor
        for trigger in of_event.triggers:
            if loops.is_ignored(trigger, chain, actor):
                continue
            execution = claims.execution_of(trigger, recorded, chain)
            stop = loops.stop(trigger, chain, actor, limits)
            if stop is None:
                stop = _held(trigger, execution, chain, circuits)
            elif circuits.allows(trigger.id, stop):
                stop = None
            if stop is None:
                admitted.append(execution)
            else:
                stopped.append(
                    StoppedMatch(
                        execution=execution,
                        kind=stop.kind,
                        loop=stop.loop,
                        reason=stop.reason,
                        causation=causation.encode(chain.unsigned),
                    )
                )
    return admitted, stopped


def _held(trigger: LiveTrigger, execution: NewExecution, chain: Causation, circuits: Circuits) -> Stop | None:
    """Chains tell of loops by themselves: only what has none is held."""
    if not circuits or chain.depth or trigger.loop_protection is LoopProtection.ALLOW_ALL:
        return None
    return circuits.stop(trigger, execution.pair)
