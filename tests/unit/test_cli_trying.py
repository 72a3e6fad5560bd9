"""`match`: the verdict of the matcher, and everything that keeps an event from the filter."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backbone.model import envelopes, triggers
from backbone.model.resources import Catalog
from launcher.cli import trying

NOW = datetime(2025, 1, 1, tzinfo=UTC)
TRIGGER = {"resource": "Item", "actions": ["Created"], "filter": {"metadata.system.mimetype": "image/*"}}
EVENT = {
    "resource": "Item",
    "action": "Created",
    "entity": {"id": "1", "metadata": {"system": {"mimetype": "image/png"}}},
}
ONE_ID, OTHER_ID = "7d2f9a34-95d1-4f6e-8b3e-0f1c2d3e4f50", "7d2f9a34-95d1-4f6e-8b3e-0f1c2d3e4f51"


def verdict(trigger: dict[str, Any], event: dict[str, Any]) -> trying.Verdict:
    submission = envelopes.decode(json.dumps(event).encode(), Catalog(), NOW)
    return trying.verdict(triggers.parse(trigger, Catalog()), submission)


def test_an_event_that_is_meant_matches() -> None:
    assert verdict(TRIGGER, EVENT).match


def test_the_first_clause_that_failed_is_told_with_the_value_it_saw() -> None:
    told = verdict(TRIGGER, {**EVENT, "entity": {"id": "1", "metadata": {"system": {"mimetype": "video/mp4"}}}})
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
def test_what_keeps_an_event_from_the_filter_is_told(trigger: Any, event: Any, path: str) -> None:
    told = verdict({**TRIGGER, **trigger}, {**EVENT, **event})
    assert (told.match, told.path) == (False, path)


@pytest.mark.parametrize(
    ("trigger", "event"),
    [
        ({"project": "demo"}, {}),
        ({"project": "demo"}, {"project": "demo"}),
        ({"project": "demo"}, {"projectId": ONE_ID}),
    ],
)
def test_a_project_that_may_be_the_same_does_not_stand_between(trigger: Any, event: Any) -> None:
    assert verdict({**TRIGGER, **trigger}, {**EVENT, **event}).match
