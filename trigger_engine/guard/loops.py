"""Would this match go round in a circle? Pure decisions on the chain that led to the event."""

from __future__ import annotations

from dataclasses import dataclass

from backbone.model.causation import Causation
from backbone.model.matches import LiveTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_depth: int = 10
    """How many executions in a row may lead to an event that still matches. Real chains seen are below 5."""


def reason_to_stop(trigger: LiveTrigger, chain: Causation, limits: Limits) -> str | None:
    """None lets the match through; otherwise the sentence that the incident says."""
    if trigger.id in chain.triggers:
        return f"trigger {trigger.name!r} is in the chain that led to this event: it would run for ever"
    if chain.depth >= limits.max_depth:
        return f"{chain.depth} executions in a row led to this event; the limit is {limits.max_depth}"
    return None
