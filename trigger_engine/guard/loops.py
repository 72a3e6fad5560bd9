"""Would this match go round in a circle? Pure decisions on the chain that led to the event, and on who wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from backbone.model.causation import Causation
from backbone.model.definitions import BOTS, bot_of
from backbone.model.loops import LoopKind, LoopProtection
from backbone.model.matches import LiveTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_depth: int = 10
    """How many executions in a row may lead to an event that still matches. Real chains seen are below 5."""

    generations: int = 20
    """Events without a chain that each came from within the run of the execution before, until their trigger is looked
    at. A person who saves every second while functions run for seconds comes there too, and is told apart then."""

    entity_matches: int = 30
    """Matches of one entity and one trigger within `window`, until they are looked at."""

    trigger_matches: int = 1_000
    """Matches of one trigger within `window`, until they are looked at; later ten times what was found ordinary."""

    window: timedelta = timedelta(minutes=1)

    hold: timedelta = timedelta(minutes=1)
    """How long what was found to be a loop is held before it is tried again; twice as long each time, up to a day."""


@dataclass(frozen=True, slots=True)
class Stop:
    kind: LoopKind
    loop: str  #: tells this loop from others of its kind
    reason: str


def is_ignored(trigger: LiveTrigger, chain: Causation, actor: str | None) -> bool:
    """Caused by an execution, and the trigger does not want to know of such events."""
    return trigger.loop_protection is LoopProtection.IGNORE and (
        chain.depth > 0 or (actor is not None and actor.endswith(BOTS))
    )


def stop(trigger: LiveTrigger, chain: Causation, actor: str | None, limits: Limits) -> Stop | None:
    """None lets the match through. Every trigger has the limit of the chain: nothing goes on for ever."""
    if not chain.depth:
        return _by_own_bot(trigger, actor)
    if trigger.loop_protection is not LoopProtection.ALLOW_ALL and trigger.id in chain.triggers:
        return Stop(LoopKind.CHAIN, _circle(trigger.id, chain), _VISITED.format(name=trigger.name))
    if chain.depth >= limits.max_depth:
        return Stop(LoopKind.DEPTH, "", _TOO_LONG.format(depth=chain.depth, limit=limits.max_depth))
    return None


def _by_own_bot(trigger: LiveTrigger, actor: str | None) -> Stop | None:
    if actor is None or trigger.loop_protection is LoopProtection.ALLOW_ALL or actor != bot_of(trigger.service_id):
        return None
    return Stop(LoopKind.ACTOR, "", _OWN_BOT.format(name=trigger.name, actor=actor))


def _circle(trigger_id: str, chain: Causation) -> str:
    """The triggers of one round, from this one on."""
    visited = [link.trigger for link in chain.chain]
    return ">".join(visited[len(visited) - 1 - visited[::-1].index(trigger_id) :])


_VISITED = "trigger {name!r} is in the chain that led to this event: it would run for ever"
_TOO_LONG = "{depth} executions in a row led to this event; the limit is {limit}"
_OWN_BOT = "the event was written by {actor}, the bot of the service that trigger {name!r} runs, and brought no chain"
