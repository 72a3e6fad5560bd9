"""`match`: what the matcher finds, why it does not find the rest, and what keeps an event from the filter."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backbone.model import envelopes
from backbone.model.events import RecordedEvent
from backbone.model.resources import Catalog
from launcher.cli import live, trying
from tests.support.matching import live_trigger

NOW = datetime(2025, 1, 1, tzinfo=UTC)
TRIGGER = {"resource": "Item", "actions": ["Created"], "filter": {"metadata.system.mimetype": "image/*"}}
EVENT = {
    "resource": "Item",
    "action": "Created",
    "entity": {"id": "1", "metadata": {"system": {"mimetype": "image/png"}}},
}
ONE_ID, OTHER_ID = "7d2f9a34-95d1-4f6e-8b3e-0f1c2d3e4f50", "7d2f9a34-95d1-4f6e-8b3e-0f1c2d3e4f51"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "triggers.json"


def taken(event: dict[str, Any], project: str | None = None) -> trying.Taken:
    submission = envelopes.decode(json.dumps(event).encode(), Catalog(), NOW)
    event_ = msgspec.structs.replace(submission.event, project_id=project or "")
    return trying.Taken("line 1", project or submission.project, RecordedEvent(event=event_, received=NOW))


def verdict(trigger: dict[str, Any], event: dict[str, Any], file: Path) -> trying.Verdict:
    """What is told, which is what the matcher finds."""
    file.write_text(json.dumps(trigger))
    (held,) = live.in_files(file)
    told = trying.verdict(held, taken(event))
    hits, _ = trying.Trial([held]).match([taken(event)])
    assert told.match is bool(hits)
    return told


def test_an_event_that_is_meant_matches(file: Path) -> None:
    assert verdict(TRIGGER, EVENT, file).match


def test_the_first_clause_that_failed_is_told_with_the_value_it_saw(file: Path) -> None:
    told = verdict(TRIGGER, {**EVENT, "entity": {"id": "1", "metadata": {"system": {"mimetype": "video/mp4"}}}}, file)
    assert not told.match
    assert (told.path, told.seen, told.operand) == ("metadata.system.mimetype", "video/mp4", "image/*")


@pytest.mark.parametrize(
    ("trigger", "event", "path"),
    [
        ({}, {"resource": "Dataset"}, "resource"),
        ({}, {"action": "Updated"}, "action"),
        ({"active": False}, {}, "active"),
        ({"project": "demo"}, {"project": "other"}, "project"),
        ({"projectId": ONE_ID}, {"projectId": OTHER_ID}, "project"),
    ],
)
def test_what_keeps_an_event_from_the_filter_is_told(trigger: Any, event: Any, path: str, file: Path) -> None:
    told = verdict({**TRIGGER, **trigger}, {**EVENT, **event}, file)
    assert (told.match, told.path) == (False, path)


@pytest.mark.parametrize(
    ("trigger", "event"),
    [
        ({"project": "demo"}, {}),
        ({"project": "demo"}, {"project": "demo"}),
        ({"project": "demo"}, {"projectId": ONE_ID}),
    ],
)
def test_a_project_that_may_be_the_same_does_not_stand_between(trigger: Any, event: Any, file: Path) -> None:
    assert verdict({**TRIGGER, **trigger}, {**EVENT, **event}, file).match


def test_what_is_told_is_what_the_matcher_finds_for_every_pair(file: Path) -> None:
    filters: list[Any] = [
        {},
        {"size": {"$gt": 2}},
        {"tags": "a"},
        {"name": "*b*"},
        {"gone": None},
        {"size": {"$ne": 3}},
    ]
    file.write_text(json.dumps([{**TRIGGER, "filter": filter} for filter in filters]))
    entities = [{"size": 3, "tags": ["a", "c"], "name": "abc"}, {"size": 2, "name": "c"}, {"tags": "a", "gone": 0}]
    events = [taken({**EVENT, "entity": {"id": str(at), **entity}}) for at, entity in enumerate(entities)]
    trial = trying.Trial(live.in_files(file))
    found = {(hit.taken, hit.trigger.id) for hit in trial.match(events)[0]}
    told = {(one, held.live.id) for one in events for held in trial.held.values() if trying.verdict(held, one).match}
    assert found == told
    assert 0 < len(found) < len(filters) * len(entities)


def test_the_engines_triggers_meet_the_events_of_their_project_alone_or_of_all() -> None:
    own = live.Held(live=replace(live_trigger("own"), project_id=ONE_ID), project=None)
    every = live.Held(live=replace(live_trigger("every"), project_id=None), project=None)
    paused = live.Held(live=replace(live_trigger("paused"), project_id=ONE_ID), project=None, paused="it is paused")
    trial = trying.Trial([own, every, paused])
    here, there = taken(EVENT, ONE_ID), taken(EVENT, OTHER_ID)
    hits, _ = trial.match([here, there])
    assert [(hit.taken, hit.trigger.id) for hit in hits] == [(here, "own"), (here, "every"), (there, "every")]
    assert trying.verdict(own, there).path == "project"
    assert trying.verdict(paused, here).sentence == "it is paused"
