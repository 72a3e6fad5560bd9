"""What the processes below one process use: processor time, and memory that is theirs alone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


ENDED = "ended"
"""The name of the processes that are no more, whose time their parents know. Mostly PostgreSQL's vacuum workers."""


@dataclass(frozen=True, slots=True)
class Use:
    cpu: float
    """Seconds since the start."""
    memory: int
    """Bytes of anonymous memory: what is shared, as PostgreSQL's buffers are, is nobody's."""
    ended_cpu: float
    """Of children that have ended."""


def below(root: int, backends: Mapping[int, str]) -> dict[str, Use]:
    """By name, those of one name summed up. `backends` tells what each server process of PostgreSQL does."""
    found: dict[str, list[Use]] = defaultdict(list)
    for pid in _descendants(root):
        try:
            name = backends.get(pid) or _name((PROC / str(pid) / "cmdline").read_bytes())
            found[name].append(use_of(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    together = {name: _sum(uses) for name, uses in found.items()}
    return {**together, ENDED: Use(sum(use.ended_cpu for use in together.values()), 0, 0.0)}


def whole(root: int) -> Use:
    """A server with all that it started, those that have ended too."""
    uses = []
    for pid in _descendants(root):
        try:
            uses.append(use_of(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    together = _sum(uses)
    return Use(together.cpu + together.ended_cpu, together.memory, 0.0)


def named(root: int, name: str) -> int:
    """The process below another one that has this name."""
    for pid in _descendants(root):
        if _name((PROC / str(pid) / "cmdline").read_bytes()) == name:
            return pid
    raise LookupError(f"there is no process {name!r} below {root}")


def _sum(uses: list[Use]) -> Use:
    return Use(sum(use.cpu for use in uses), sum(use.memory for use in uses), sum(use.ended_cpu for use in uses))


def use_of(pid: int) -> Use:
    after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    user, system, ended_user, ended_system = [int(field) / TICKS for field in after_name[11:15]]
    status = (PROC / str(pid) / "status").read_text()
    memory = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0)
    return Use(user + system, memory * 1024, ended_user + ended_system)


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
        return ENDED
    if "launcher.roles" in words:
        return words[words.index("launcher.roles") + 1]
    if any(word.endswith("agent/child.py") for word in words):
        return "function"
    if words[0].startswith("postgres") or words[0].endswith("/postgres"):
        return "postgres: server"
    if "launcher.cli" in words:
        return "up"
    return Path(words[0]).name
