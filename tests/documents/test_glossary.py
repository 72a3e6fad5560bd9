"""Each word of the glossary stands once, in order, and is where the glossary says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from backbone.model.resources import KNOWN

PAGE = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([\w ]+) \| ([^|]+) \| `([\w.]+)` \|$", PAGE, re.MULTILINE)


def test_every_row_is_read_and_words_stand_once_in_order() -> None:
    assert len(ROWS) == PAGE.count("\n| ") - 1
    words = [word.lower() for word, _, _ in ROWS]
    assert words == sorted(set(words))


@pytest.mark.parametrize("place", sorted({place for _, _, place in ROWS}))
def test_a_word_is_where_the_glossary_says(place: str) -> None:
    try:
        importlib.import_module(place)
    except ModuleNotFoundError:
        module, _, name = place.rpartition(".")
        assert hasattr(importlib.import_module(module), name)


def test_every_resource_and_action_is_named() -> None:
    said = {word: set(re.findall(r"\w+", meaning)) for word, meaning, _ in ROWS}
    assert set(KNOWN) <= said["resource"]
    assert {action for actions in KNOWN.values() for action in actions} <= said["action"]
