"""The page about the way of an event: its figures, channels and durability are those of the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from agent import report
from backbone.drivers.event_log import postgres as event_log
from backbone.drivers.reports import postgres as reports
from backbone.store import definitions
from backbone.store.wakeups import PENDING, SERVICES

PAGE = (Path(__file__).parents[2] / "docs" / "way-of-an-event.md").read_text(encoding="utf-8")
CONSTANTS = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([\d.]+) \|", PAGE, re.MULTILINE)


def test_there_are_figures_to_compare() -> None:
    assert (report.__name__, "LINGER", str(report.LINGER)) in CONSTANTS
    assert len(CONSTANTS) == PAGE.split("## Batches")[1].split("##")[0].count("\n| `")


@pytest.mark.parametrize(("module", "name", "value"), CONSTANTS)
def test_a_figure_is_the_codes(module: str, name: str, value: str) -> None:
    assert getattr(importlib.import_module(module), name) == float(value)


def test_the_channels_are_those_that_are_listened_to() -> None:
    told = set(re.findall(r"^\| `([\w ]+)` \|", PAGE.split("## Wake-ups")[1], re.MULTILINE))
    modules = (event_log, reports)
    assert told - {"work SERVICE_ID"} == {module.CHANNEL for module in modules} | {
        definitions.TRIGGERS_CHANNEL,
        PENDING,
        SERVICES,
    }


def test_every_stage_of_the_drawing_has_its_row() -> None:
    drawn = re.findall(r"\w+", PAGE.split("```")[1].splitlines()[1])
    table = PAGE.split("## Stage by stage")[1].split("What each does")[0]
    assert re.findall(r"^\| (\w+) \| (?!where)", table, re.MULTILINE) == drawn
