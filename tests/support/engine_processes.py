"""The processes of one `trigger-engine up`, seen from outside: found in /proc, known by their command lines.

Whatever descends from it inherits a mark in its environment, also what was orphaned or began a session of its own.
PostgreSQL writes its title over its environment; it is known by the name of its cluster. Linux only.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from launcher import postgres_processes
from launcher.postgres_folder import PostgresFolder

MARK = "ACCEPTANCE_TEST_OF"
ROLES = ("engine", "dispatcher", "gateway", "agent")


def by_role(data: Path) -> dict[str, list[int]]:
    """Process ids by up, postgres, engine, dispatcher, gateway, agent, guard (of an agent) and child (of a guard)."""
    found: dict[str, list[int]] = {role: [] for role in ("up", "postgres", *ROLES, "guard", "child", "other")}
    for server in _postgres(data):
        if server.is_postmaster:
            found["postgres"].append(server.pid)
    guards_and_children = []
    for pid in _marked(data):
        words = _command_line(pid)
        if words and words[0].endswith(b"/postgres"):
            continue
        if any(word.endswith(b"agent/child.py") for word in words):
            guards_and_children.append(pid)
        else:
            found[_role(words)].append(pid)
    for pid in guards_and_children:
        found["guard" if _parent(pid) in found["agent"] else "child"].append(pid)
    return found


def left(data: Path) -> dict[int, str]:
    """Everything of it that lives, by process id: its command line."""
    pids = {*_marked(data), *(server.pid for server in _postgres(data))}
    commands = {pid: b" ".join(_command_line(pid)).decode(errors="replace")[:200] for pid in pids}
    return {pid: command for pid, command in commands.items() if command}


def kill_all(data: Path) -> None:
    for pid in left(data):
        send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _role(words: list[bytes]) -> str:
    if b"launcher.cli" in words:
        return "up"
    if b"launcher.roles" in words:
        return words[words.index(b"launcher.roles") + 1].decode()
    return "other"


def _postgres(data: Path) -> list[postgres_processes.Found]:
    folder = PostgresFolder(data / "postgres")
    return postgres_processes.find(folder.name) if folder.path.exists() else []


def _marked(data: Path) -> Iterator[int]:
    mark = f"{MARK}={data}".encode()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                yield int(entry)
        except OSError:
            pass  # it ended meanwhile, or belongs to somebody else


def _command_line(pid: int) -> list[bytes]:
    """Empty when it has ended, reaped or not."""
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def _parent(pid: int) -> int:
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
