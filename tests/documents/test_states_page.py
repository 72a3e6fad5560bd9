"""The table of states on its page is the model's, and so is the drawing."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from backbone.model import states
from backbone.model.states import TRANSITIONS, ExecutionStatus

PAGE = (Path(__file__).parents[2] / "docs" / "states.md").read_text(encoding="utf-8")


def test_the_table_is_the_models() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| [^|`]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert [status for status, _ in rows] == [status.value for status in ExecutionStatus]
    assert {status: set(re.findall(r"`([\w-]+)`", following)) for status, following in rows} == {
        status.value: {after.value for after in following} for status, following in TRANSITIONS.items()
    }


def test_the_drawing_is_the_models() -> None:
    [drawing] = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    assert textwrap.indent(drawing, "    ") in (states.__doc__ or "")
