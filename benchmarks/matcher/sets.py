"""Sets of triggers with the events they meet: spread over projects, all in one, without anything selective, and more.

  spread    ten triggers a project, filters as people write them
  one       all in one project, each with one selective equality
  worst     all in one project, nothing selective in any: narrow ranges, wildcards, thresholds in the tail, many small
            equalities
  eqonly    as spread, with equality and `$in` alone
  held-out  a hundred triggers a project, other filters and other operators; nobody tunes on it

However many triggers there are, an event meets about as many that match: what grows is what must not be looked at.
The same name and numbers give the same set, in every process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import orjson

from backbone.model.events import RecordedEvent
from backbone.model.matches import LiveTrigger
from benchmarks.matcher import conditions, entities, records
from benchmarks.matcher.conditions import Condition

SEEDS = {"spread": 11, "one": 12, "worst": 13, "eqonly": 14, "held-out": 20260304}
NAMES = tuple(SEEDS)
EVENTS = 5_000
RESOURCE, ACTION = "Item", "Created"
MATCHING = 5
"""Of the triggers in `worst`, how many are to match an event."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A trigger of a set; without conditions only ours can say it."""

    id: str
    project: str
    filter: dict[str, Any]
    conditions: tuple[Condition, ...] | None

    def live(self) -> LiveTrigger:
        return records.trigger(self.id, self.filter, project=self.project, resource=RESOURCE, action=ACTION)

    def rule(self) -> str:
        if self.conditions is None:
            raise ValueError(f"{self.id} is not written in conditions")
        return conditions.event_ruler(self.conditions, envelope(self.project))


@dataclass(frozen=True)
class Set:
    asked: list[Asked]
    events: list[RecordedEvent]

    @cached_property
    def triggers(self) -> list[LiveTrigger]:
        return [asked.live() for asked in self.asked]


def envelope(project: str) -> dict[str, str]:
    return {"projectId": project, "resource": RESOURCE, "action": ACTION}


def made(name: str, triggers: int, events: int = EVENTS) -> Set:
    random = Random(f"{name} {SEEDS[name]} {triggers}")
    asked = [_trigger(name, random, triggers, number) for number in range(triggers)]
    return Set(asked, [_event(name, random, triggers, number) for number in range(events)])


def project(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000001"


def _projects(name: str, triggers: int) -> int:
    return max(1, triggers // {"spread": 10, "eqonly": 10, "held-out": 100}.get(name, triggers))


def _values(name: str, triggers: int) -> int:
    """How many values a selective field has inside a project."""
    return {"spread": 10, "eqonly": 10, "held-out": 50, "one": max(20, triggers), "worst": max(10, triggers)}[name]


def _event(name: str, random: Random, triggers: int, number: int) -> RecordedEvent:
    where = project(random.randrange(_projects(name, triggers)))
    entity = entities.item(random, f"{number:024x}", where, _values(name, triggers))
    return records.recorded(f"e{number}", orjson.dumps(entity), project=where, resource=RESOURCE, action=ACTION)


def _trigger(name: str, random: Random, triggers: int, number: int) -> Asked:
    where = project(number % _projects(name, triggers))
    values = _values(name, triggers)
    id = f"t{number}"
    if name == "held-out":
        return Asked(id, where, HELD_OUT[number * 7 % len(HELD_OUT)](random, where, values), None)
    asked: tuple[Condition, ...]
    if name == "worst":
        asked = _worst(random, number, triggers)
    elif name == "one":
        asked = (_selective(random, entities.SELECTIVE[number % 4], where, values), *_unselective(random, number))
    else:
        templates = SPREAD if name == "spread" else EQUALITIES
        asked = templates[number // _projects(name, triggers) % len(templates)](random, where, values)
    if name != "eqonly" and random.random() < 0.5:
        asked = (Condition("hidden", "is", False), Condition("type", "is", "file"), *asked)
    return Asked(id, where, conditions.dql(asked), asked)


def _selective(random: Random, path: str, where: str, values: int) -> Condition:
    return Condition(path, "is", entities.selective(path, where, random.randrange(values)))


def _some(random: Random, path: str, where: str, values: int, count: int) -> Condition:
    return Condition(path, "one of", [entities.selective(path, where, n) for n in random.sample(range(values), count)])


def _low(random: Random, field: str, count: int = 1) -> Condition:
    chosen = [entities.low(field, n) for n in random.sample(range(entities.LOW[field]), count)]
    path = f"metadata.user.{field}"
    return Condition(path, "is", chosen[0]) if count == 1 else Condition(path, "one of", chosen)


def _above(random: Random, share: float) -> Condition:
    return Condition("metadata.system.size", "above", round(entities.MAX_SIZE * (1 - share * random.uniform(0.5, 1.5))))


MIMETYPE = "metadata.system.mimetype"
_Template = Callable[[Random, str, int], tuple[Condition, ...]]

# Each matches about one in thirty of its project's events.
SPREAD: list[_Template] = [
    lambda r, w, v: (_selective(r, "datasetId", w, v), Condition(MIMETYPE, "starts", r.choice(["image/", "video/"]))),
    lambda r, w, v: (_selective(r, "metadata.user.batch", w, v), _above(r, 0.4)),
    lambda r, w, v: (Condition("dir", "starts", "/" + entities.code(r, 2)), Condition(MIMETYPE, "is", "image/jpeg")),
    lambda r, w, v: (Condition("name", "ends", entities.code(r, 2) + ".jpg"), _low(r, "shift")),
    lambda r, w, v: (_low(r, "grade"), _low(r, "stage", 2), Condition("annotated", "is", True)),
    lambda r, w, v: (
        _some(r, "datasetId", w, v, 2),
        Condition("metadata.system.annotationStatus", "has", r.choice(entities.STATUSES)),
    ),
    lambda r, w, v: (
        _selective(r, "metadata.user.camera", w, v),
        Condition("metadata.system.width", "between", [(low := r.randrange(2000)), low + 1200]),
    ),
    lambda r, w, v: (
        _selective(r, "creator", w, v),
        Condition("metadata.user.note", "contains", entities.word(r.randrange(v))),
    ),
]

EQUALITIES: list[_Template] = [
    lambda r, w, v: (_selective(r, "datasetId", w, v), Condition(MIMETYPE, "is", r.choice([*entities.MIMETYPES]))),
    lambda r, w, v: (_selective(r, "metadata.user.batch", w, v), _low(r, "shift")),
    lambda r, w, v: (_selective(r, "metadata.user.camera", w, v), _low(r, "mode")),
    lambda r, w, v: (_some(r, "datasetId", w, v, 3), _low(r, "line")),
    lambda r, w, v: (_some(r, "creator", w, v, 2), _low(r, "grade")),
]


def _unselective(random: Random, number: int) -> tuple[Condition, ...]:
    """What passes about a third of all events."""
    kinds: list[Callable[[], Condition]] = [
        lambda: Condition(MIMETYPE, "starts", "video/"),
        lambda: _above(random, 0.3),
        lambda: _low(random, "grade", 2),
        lambda: Condition("annotated", "is", True),
        lambda: Condition("metadata.system.height", "below", random.randrange(500, 2000)),
    ]
    return (kinds[number // 4 % len(kinds)](),)


def _worst(random: Random, number: int, triggers: int) -> tuple[Condition, ...]:
    share = min(0.4, MATCHING / triggers)
    letters = max(1, round(math.log(1 / share, len(entities.LETTERS))))
    match number % 6:
        case 0:
            low = random.uniform(0, 1 - share) * entities.MAX_SIZE
            return (Condition("metadata.system.size", "between", [int(low), int(low + share * entities.MAX_SIZE)]),)
        case 1:
            return (Condition("dir", "starts", "/" + entities.code(random, letters)),)
        case 2:
            return (Condition("name", "ends", entities.code(random, letters) + ".jpg"),)
        case 3:
            return (Condition("metadata.user.note", "contains", entities.word(random.randrange(max(10, triggers)))),)
        case 4:
            return (_tail(random, share),)
        case _:
            return _small_equalities(random, triggers)


def _tail(random: Random, share: float) -> Condition:
    part = 1000 * random.uniform(0, 2 * share)
    return Condition(
        "metadata.system.duration", *(("above", 1000 - part) if random.random() < 0.5 else ("below", part))
    )


def _small_equalities(random: Random, triggers: int) -> tuple[Condition, ...]:
    """Four to six fields, so many that all together are as rare as the other kinds."""
    fields = random.sample(sorted(entities.LOW), 6)
    chosen = fields[:4]
    for field in fields[4:]:
        if math.prod(entities.LOW[each] for each in chosen) < triggers / MATCHING:
            chosen.append(field)
    return tuple(_low(random, field) for field in chosen)


def _value(random: Random, path: str, where: str, values: int) -> str:
    return entities.selective(path, where, random.randrange(values))


HELD_OUT: list[Callable[[Random, str, int], dict[str, Any]]] = [
    lambda r, w, v: {
        "$or": [{path: _value(r, path, w, v)} for path in r.sample(entities.SELECTIVE, 2)],
        "metadata.user.grade": {"$nin": ["grade-1", f"grade-{r.randrange(2, 5)}"]},
    },
    lambda r, w, v: {
        "metadata.system.refs": {"$match": {"type": "task", "metadata.status": r.choice(entities.STATUSES)}},
        "creator": {"$ieq": _value(r, "creator", w, v).upper()},
    },
    lambda r, w, v: {"dir": {"$ilike": f"/{entities.code(r, 3).upper()}*"}, "metadata": {"user": {"shift": "shift-1"}}},
    lambda r, w, v: {
        "metadata.user.checked": {"$exists": False},
        "metadata.user.batch": {"$in": [_value(r, "metadata.user.batch", w, v) for _ in range(5)]},
    },
    lambda r, w, v: {
        "createdAt": {"$gte": f"2026-03-{(day := r.randrange(1, 28)):02d}", "$lt": f"2026-03-{day + 1:02d}"},
        "type": {"$ne": "dir"},
    },
    lambda r, w, v: {"filename": f"*{entities.code(r, 5)}*", "metadata.system.annotationStatus": {"$ne": "issue"}},
    lambda r, w, v: {"annotationsCount": r.randrange(50), "metadata.user.stage": {"$ne": "stage-0"}, "hidden": False},
    lambda r, w, v: {
        "metadata.system.exif.Model": f"X{r.randrange(100)}",
        "$nor": [{"metadata.user.mode": "mode-0"}, {"metadata.user.lane": {"$in": ["lane-1", "lane-2"]}}],
    },
    lambda r, w, v: {"metadata.system.size": {"$gt": round(entities.MAX_SIZE * r.uniform(0.97, 1))}},
]
