"""What the processes below one process use: processor time, and memory that is theirs alone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    cpu: float
    """Seconds since the start."""
    memory: int
    """Bytes of anonymous memory: what is shared, as PostgreSQL's buffers are, is nobody's."""


def below(root: int, backends: Mapping[int, str]) -> dict[str, Use]:
    """By name, those of one name summed up. `backends` tells what each server process of PostgreSQL does."""
    found: dict[str, list[Use]] = defaultdict(list)
    for pid in _descendants(root):
        try:
            name = backends.get(pid) or _name((PROC / str(pid) / "cmdline").read_bytes())
            found[name].append(use_of(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return {name: Use(sum(use.cpu for use in uses), sum(use.memory for use in uses)) for name, uses in found.items()}


def use_of(pid: int) -> Use:
    after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    cpu = (int(after_name[11]) + int(after_name[12])) / TICKS
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return Use(cpu, int(line.split()[1]) * 1024)
    return Use(cpu, 0)


def machine() -> tuple[float, float]:
    """Seconds of all processors since the start: in all, and idle."""
    fields = [int(field) / TICKS for field in (PROC / "stat").read_text().partition("\n")[0].split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children[parent].append(int(folder.name))
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return found


def _name(command: bytes) -> str:
    words = [word.decode(errors="replace") for word in command.split(b"\0") if word]
    if not words:
        return "ended"
    if "launcher.roles" in words:
        return words[words.index("launcher.roles") + 1]
    if any(word.endswith("agent/child.py") for word in words):
        return "function"
    if words[0].startswith("postgres") or words[0].endswith("/postgres"):
        return "postgres: server"
    if "launcher.cli" in words:
        return "up"
    return Path(words[0]).name
