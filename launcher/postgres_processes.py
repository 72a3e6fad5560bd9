"""The processes of one PostgreSQL cluster that no living owner holds: finding them and ending them.

They are known by the cluster's name in their command lines, which anyone may read (root in a container may not read
/proc/PID/cwd): the postmaster carries it as an argument, each child in the title that PostgreSQL gives it. A process
that ended and was not reaped has no command line, and is rightly not found. Without a /proc nothing is found, and
PostgreSQL's own checks remain.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from backbone.model.errors import Unavailable

log = logging.getLogger(__name__)

POLL = 0.02
ORPHANS_PATIENCE = timedelta(seconds=5)
"""PostgreSQL's own, after a crash of one of its processes: what does not quit by then never will."""


@dataclass(frozen=True, slots=True)
class Found:
    pid: int
    is_postmaster: bool


def find(cluster_name: str) -> list[Found]:
    children, named = [], []
    for pid, command_line in _command_lines():
        if f"cluster_name={cluster_name}".encode() in command_line.split(b"\0"):
            named.append(pid)
        elif command_line.startswith(f"postgres: {cluster_name}: ".encode()):
            children.append(pid)
    # A child has its parent's command line until it knows what it is for.
    return [
        *(Found(pid, is_postmaster=_parent(pid) not in named) for pid in named),
        *(Found(pid, is_postmaster=False) for pid in children),
    ]


def _parent(pid: int) -> int | None:
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None  # it ended meanwhile


def _command_lines() -> Iterator[tuple[int, bytes]]:
    try:
        entries = os.listdir("/proc")
    except FileNotFoundError:
        return
    for entry in filter(str.isdigit, entries):
        try:
            yield int(entry), Path("/proc", entry, "cmdline").read_bytes()
        except OSError:
            pass  # it ended meanwhile, or /proc hides what belongs to others


async def end(cluster_name: str, patience: timedelta) -> None:
    """Returns when none is left: a postmaster is asked to stop, which takes its children along, and after `patience`
    made to. Its children alone get less: they cannot finish anything."""
    clock = asyncio.get_running_loop().time
    began, orphaned = clock(), None
    told = False
    while found := find(cluster_name):
        if not told:
            told = True
            log.warning("ending a former PostgreSQL server, processes %s", ", ".join(str(each.pid) for each in found))
        postmasters = [each for each in found if each.is_postmaster]
        if postmasters:
            late = clock() > began + patience.total_seconds()
        else:  # the next start recovers from the log
            orphaned = orphaned or clock()
            late = clock() > orphaned + ORPHANS_PATIENCE.total_seconds()
        wanted = signal.SIGINT if postmasters else signal.SIGQUIT
        for each in postmasters or found:
            _send(each.pid, signal.SIGKILL if late else wanted)
        await asyncio.sleep(POLL)


def _send(pid: int, wanted: signal.Signals) -> None:
    try:
        os.kill(pid, wanted)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise Unavailable("PostgreSQL", f"process {pid} of a former server belongs to another user") from error
