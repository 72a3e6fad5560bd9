"""The sixteen rule banks of event-ruler's benchmark: each rule as theirs, as a filter of ours, and its count.

`anything-but` on a null or missing field: both sides call null different from any text, and these events have every
field, so that `$ne` says the same without `$exists`. One point within two bounds is a `$match` of ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("banks.json")


@dataclass(frozen=True, slots=True)
class Rule:
    rule: dict[str, Any]
    """In event-ruler's language."""
    filter: dict[str, Any]
    """In DQL."""
    matches: int


def banks() -> dict[str, list[Rule]]:
    written = json.loads(FILE.read_text())
    found = {name: [Rule(**each) for each in rules] for name, rules in written["banks"].items()}
    combined = {
        name: [rule for part in parts for rule in found[part]] for name, parts in written["combinations"].items()
    }
    return {**found, **combined}
