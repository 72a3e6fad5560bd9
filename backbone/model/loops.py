"""Words about loops: how a trigger wants to be kept from them, and what kinds of them there are."""

from __future__ import annotations

from enum import StrEnum


class LoopProtection(StrEnum):
    """What a trigger does about events that executions caused."""

    AVOID_LOOP = "avoid-loop"  #: they match, as long as they close no loop
    IGNORE = "ignore"  #: they are not for this trigger
    ALLOW_ALL = "allow-all"  #: they match; only the length of a chain is limited


class LoopKind(StrEnum):
    """How a loop was seen; in the order in which it is looked for."""

    CHAIN = "chain"  #: the trigger is in the chain that led to the event
    DEPTH = "depth"  #: the chain is too long
    ACTOR = "actor"  #: the event has no chain, and was written by the bot of the trigger's own service
    ENTITY = "entity"  #: one entity matches one trigger again and again
    TRIGGER = "trigger"  #: a trigger feeds itself with new entities

    @property
    def waits(self) -> bool:
        """What is stopped so may be ordinary: it waits, and goes on when that is found out."""
        return self in (LoopKind.ENTITY, LoopKind.TRIGGER)
