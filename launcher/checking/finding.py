"""What a look at a server found; kept while it goes on, so that a server that falls silent has told what it told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    wrong: str  #: one sentence
    remedy: str  #: what to do about it


@dataclass(slots=True)
class Finding:
    server: str
    address: str  #: as people may see it
    reached: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return self.reached and not self.problems

    def wrong(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(what, remedy))
