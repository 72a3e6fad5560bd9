"""The decisions are numbered without gaps, short, and each says why, what, what follows and what else there was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "docs" / "decisions").glob("*.md"))
LONGEST = 40


def test_they_are_numbered_from_one_without_gaps() -> None:
    assert [file.name[:4] for file in FILES] == [f"{number:04}" for number in range(1, len(FILES) + 1)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_decision_has_its_four_parts(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith(f"# {file.name[:4]} ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]
    assert text.count("\n") <= LONGEST
