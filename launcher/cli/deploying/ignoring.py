"""What of a folder is not code: what a .gitignore names, and what never is. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

NEVER = frozenset({".git", "__pycache__", ".venv", ".trigger-engine"})


@dataclass(frozen=True, slots=True)
class Rule:
    pattern: str
    keeps: bool  #: begins with `!`
    folders_only: bool
    anchored: bool  #: has a slash before its end: matches from the top


def rules(gitignore: str) -> list[Rule]:
    return [_rule(line.strip()) for line in gitignore.splitlines() if line.strip() and not line.startswith("#")]


def _rule(line: str) -> Rule:
    keeps = line.startswith("!")
    body = line[1:] if keeps else line
    folders_only = body.endswith("/")
    body = body.rstrip("/")
    anchored = "/" in body
    return Rule(body.lstrip("/"), keeps, folders_only, anchored)


def is_ignored(path: str, is_folder: bool, rules: Sequence[Rule]) -> bool:
    """`path` is relative, with slashes. The last rule that matches decides, as with git."""
    name = path.rpartition("/")[2]
    if name in NEVER:
        return True
    decisive = (rule for rule in reversed(rules) if _matches(rule, path, name, is_folder))
    found = next(decisive, None)
    return found is not None and not found.keeps


def _matches(rule: Rule, path: str, name: str, is_folder: bool) -> bool:
    if rule.folders_only and not is_folder:
        return False
    if not rule.anchored:
        return fnmatch.fnmatchcase(name, rule.pattern)
    return _from_the_top(path.split("/"), rule.pattern.split("/"))


def _from_the_top(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """A `*` does not pass a slash, `**` does."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_from_the_top(parts[at:], wanted[1:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _from_the_top(parts[1:], wanted[1:])
