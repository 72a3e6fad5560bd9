"""The benchmarks' page tells the truth: each command on it can be typed, and what is measured is counted."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import load, measuring

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "benchmarks" / "README.md").read_text()
COMMANDS = re.findall(r"^python -m (benchmarks\..*)$", PAGE, re.MULTILINE)
OTHERS = ("benchmarks.load", "benchmarks.peers.worker")
LENGTH = re.compile(rb"Content-Length: (\d+)")


def run(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100
    ).stdout


@pytest.mark.parametrize("module", [*dict.fromkeys(command.split()[0] for command in COMMANDS), *OTHERS])
def test_a_benchmark_explains_itself(module: str) -> None:
    said = run(module, "--help")
    assert said.startswith("usage: ")
    assert len(said.splitlines()) > 8


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_names_options_that_are_there(command: str) -> None:
    module, *words = shlex.split(command)
    said = run(module, "--help")
    for word in words:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", said) or word.isdecimal()


def test_every_benchmark_is_on_the_page() -> None:
    files = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "ArgumentParser" in path.read_text()}
    assert files - {"load.py"} == set(re.findall(r"^\| `(\w+\.py)`", PAGE, re.MULTILINE))


def test_every_event_of_a_bulk_run_is_counted() -> None:
    told = json.loads(run("benchmarks.tracked_path", "bulk", "--events", "2000", "--warm-up", "200", "--json"))
    assert told["modes"]["bulk"]["events"] == 2000
    assert told["modes"]["bulk"]["runs"] == 1
    assert told["ratios"].keys() == {"bulk / 10,000 a second"}
    assert {"engine", "dispatcher", "gateway", "agent", "function"} <= told["modes"]["bulk"]["memory"].keys()


@pytest.mark.parametrize("per_request", [1, 20])
def test_a_request_is_as_long_as_it_says(per_request: int) -> None:
    plan = load.Plan(run="run", events=20, per_request=per_request)
    values = [value for number in range(per_request) for value in (number, number, 1_700_000_000.5)]
    head, _, body = (load.template(plan, "127.0.0.1:80") % tuple(values)).partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    assert length is not None
    assert int(length[1]) == len(body)
    documents = json.loads(body) if per_request > 1 else [json.loads(body)]
    assert [document["entity"]["id"] for document in documents] == [
        f"run-{number:09d}" for number in range(per_request)
    ]
    assert len(body) // per_request in range(load.EVENT_BYTES - 5, load.EVENT_BYTES + 5)


def test_the_end_is_asked_for_more_often_the_nearer_it_is() -> None:
    pauses = [measuring.pause(done, 1000, done / 100) for done in (100, 500, 900, 999)]
    assert pauses == sorted(pauses, reverse=True)
    assert measuring.pause(0, 1000, 5) == 0.1
    assert measuring.pause(1, 1_000_000, 1) == 2.0
