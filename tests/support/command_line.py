"""The command line, typed: as a process of its own, the way a person has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60


def _command(words: tuple[str | Path, ...]) -> list[str]:
    return [sys.executable, "-m", "launcher.cli", *map(str, words)]


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIGGER_ENGINE_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **given}


def typed(
    *words: str | Path, cwd: Path = ROOT, input: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What became of a command."""
    return subprocess.run(
        _command(words),
        cwd=cwd,
        input=input,
        env=_environment(environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
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
