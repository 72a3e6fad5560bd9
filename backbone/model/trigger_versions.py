"""What a trigger was, version by version, and what each change changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import msgspec

from backbone.model import triggers
from backbone.model.triggers import Trigger

ChangeKind = Literal["made", "changed", "paused", "resumed", "deleted"]

_NOT_THERE = object()
_WHOLE = ("spec.filter", "spec.input")
"""Documents of people: compared and shown as wholes."""

_OF_EVERY_VERSION = frozenset({"version", "updatedAt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerVersion:
    """`trigger.version` counts them. The last one of a deleted trigger says so, and is what it was then."""

    trigger: Trigger
    at: datetime
    until: datetime | None  #: None: it is the one of now
    actor: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """None stands for nothing, too."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    kind: ChangeKind
    made: TriggerVersion  #: what came of it
    differences: tuple[Difference, ...]


def changes(newest_first: Sequence[TriggerVersion]) -> list[Change]:
    """What led to each version; the oldest was made unless its number says that there were others before it."""
    return [_change(after, before) for after, before in pairwise([*newest_first, None]) if after is not None]


def _change(after: TriggerVersion, before: TriggerVersion | None) -> Change:
    if before is None:
        return Change("made" if after.trigger.version == 1 else "changed", after, ())
    if after.deleted:
        return Change("deleted", after, ())
    found = tuple(differences(before.trigger, after.trigger))
    if [one.field for one in found] == ["active"]:
        return Change("resumed" if after.trigger.active else "paused", after, found)
    return Change("changed", after, found)


def differences(before: Trigger, after: Trigger) -> Iterator[Difference]:
    old, new = (dict(_fields(msgspec.to_builtins(triggers.document(one)), "")) for one in (before, after))
    for field in [*old, *(field for field in new if field not in old)]:
        was, is_ = old.get(field, _NOT_THERE), new.get(field, _NOT_THERE)
        if field not in _OF_EVERY_VERSION and _written(was) != _written(is_):
            yield Difference(field, None if was is _NOT_THERE else was, None if is_ is _NOT_THERE else is_)


def _fields(document: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        field = f"{prefix}{name}"
        if isinstance(value, dict) and field not in _WHOLE:
            yield from _fields(value, f"{field}.")
        else:
            yield field, value


def _written(value: Any) -> bytes | None:
    """Tells true from 1, which == does not."""
    return None if value is _NOT_THERE else msgspec.json.encode(value, order="sorted")
