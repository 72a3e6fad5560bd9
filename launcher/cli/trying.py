"""Would this trigger match that event, and if not, why? Pure; with the matcher's own filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from backbone.model import dql
from backbone.model.envelopes import Submission
from backbone.model.triggers import TriggerDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    match: bool
    sentence: str
    path: str | None = None  #: the field that decided against it
    operator: str | None = None
    operand: Any = None
    seen: Any = None
    missing: bool = False


def verdict(draft: TriggerDraft, submission: Submission) -> Verdict:
    mismatch = next(_mismatches(draft, submission), None)
    if mismatch is not None:
        return mismatch
    told = dql.compile(draft.filter).explain(orjson.loads(submission.event.entity))
    return Verdict(
        match=told.verdict,
        sentence=told.sentence,
        path=told.path,
        operator=told.operator,
        operand=told.operand,
        seen=told.seen,
        missing=told.missing,
    )


def _mismatches(draft: TriggerDraft, submission: Submission) -> Iterator[Verdict]:
    """Whatever keeps the event from the filter."""
    event = submission.event
    if not draft.active:
        yield Verdict(match=False, sentence="the trigger is not active", path="active", seen=False)
    if not _may_be_one(draft.project, submission.project):
        sentence = f"the event is of project {submission.project!r}; the trigger listens in {draft.project!r}"
        yield Verdict(match=False, sentence=sentence, path="project", operand=draft.project, seen=submission.project)
    if event.resource != draft.resource:
        sentence = f"the event's resource is {event.resource!r}; the trigger listens to {draft.resource!r}"
        yield Verdict(match=False, sentence=sentence, path="resource", operand=draft.resource, seen=event.resource)
    if event.action not in draft.actions:
        listens = ", ".join(repr(action) for action in draft.actions)
        sentence = f"the event's action is {event.action!r}; the trigger listens to {listens}"
        yield Verdict(match=False, sentence=sentence, path="action", operand=list(draft.actions), seen=event.action)


def _may_be_one(one: str | None, other: str | None) -> bool:
    """A name and an id cannot be told apart without an engine; who says nothing may be in any project."""
    return one is None or other is None or one == other or _is_id(one) != _is_id(other)


def _is_id(project: str) -> bool:
    try:
        UUID(project)
    except ValueError:
        return False
    return True
