"""The command line, typed: as a process of its own, the way a person has it."""

from __future__ import annotations

import array
import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.support import loaded_command_line

ROOT = Path(__file__).parents[2]
PATIENCE = 60


def _command(words: tuple[str | Path, ...]) -> list[str]:
    return [sys.executable, "-m", "launcher.cli", *map(str, words)]


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIGGER_ENGINE_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **given}


class _Loaded:
    """The process that forks for each command; it ends when we do."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", loaded_command_line.__name__, str(theirs.fileno())],
                cwd=ROOT,
                env=_environment({}),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._ours.close()
        self._process.wait(PATIENCE)

    def run(self, asked: Mapping[str, Any], files: Sequence[IO[str]]) -> int:
        """The exit code."""
        socket.send_fds(self._ours, [json.dumps(asked).encode()], [file.fileno() for file in files])
        pid = self._number()
        end = threading.Timer(PATIENCE, os.kill, (pid, signal.SIGKILL))
        end.start()
        try:
            return self._number()
        finally:
            end.cancel()

    def _number(self) -> int:
        told = array.array("i")
        told.frombytes(self._ours.recv(told.itemsize))
        return told[0]


_loaded = functools.cache(_Loaded)


def typed(
    *words: str | Path, cwd: Path = ROOT, input: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What became of a command."""
    written = list(map(str, words))
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(input or "")
        given.seek(0)
        asked = {"words": written, "cwd": str(cwd), "environment": _environment(environment)}
        code = _loaded().run(asked, (given, out, err))
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(written, code, out.read(), err.read())


def started(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What became of a command, from the start of Python on."""
    return subprocess.run(
        _command(words), cwd=ROOT, env=_environment({}), capture_output=True, text=True, timeout=PATIENCE
    )


def told(*words: str | Path, **given: Any) -> str:
    """What a command that ends well prints."""
    done = typed(*words, **given)
    assert done.returncode == 0, f"{words} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def answered(*words: str | Path, **given: Any) -> Any:
    """The JSON that a command prints."""
    return json.loads(told(*words, "--json", **given))


@contextmanager
def running(*words: str | Path, cwd: Path = ROOT, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on; it is ended with the block."""
    process = subprocess.Popen(
        _command(words),
        cwd=cwd,
        env=_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Whoever waits for a line that does not come waits for the end of the process instead.
    end = threading.Timer(PATIENCE, process.kill)
    end.start()
    try:
        yield process
    finally:
        end.cancel()
        process.kill()
        process.communicate()
