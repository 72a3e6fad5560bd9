"""What a function prints and logs is its own execution's, in order, before its outcome, and bounded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.function_process import serving

MODULE = """
import logging, os, subprocess, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
import asyncio

print("while loading")
together = threading.Barrier(5)

def prints(word):
    print("out", word)
    print("err", word, file=sys.stderr)
def pieces():
    for piece in ("a", "b\\nc", "", "d\\r\\n", "e"):
        print(piece, end="")
def logs():
    logging.basicConfig(level=logging.DEBUG, force=True)
    logging.debug("debug")
    logging.getLogger("deep.er").warning("%s", "warning")
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("exception")
def side_by_side(word):
    for number in range(20):
        print(word, number)
        if number == 10:
            together.wait(20)
async def side_by_side_async(word):
    for number in range(20):
        print(word, number)
        await asyncio.sleep(0)
def threads(word):
    thread = threading.Thread(target=print, args=("thread", word))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(print, [f"pool {word}"]))
async def to_thread(word): await asyncio.to_thread(print, "asyncio", word)
def subprocess_speaks(): subprocess.run(["sh", "-c", "echo out of the shell; echo err of the shell >&2"])
def raw(): os.write(1, b"raw \\xc3\\xbc\\xff line\\nno end")
def flood(lines):
    for number in range(lines):
        print(number, "x" * 1000)
def long_line(): print("x" * 100_000)
def nul(): print("a\\x00b \\udcff")
def late():
    def speak():
        go.wait(20)
        print("late")
    threading.Thread(target=speak).start()
go = threading.Event()
def release(): go.set()
def waits(path):
    print("before")
    open(path).read()
"""


async def test_lines_come_with_their_level_and_before_the_outcome(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        await served.output("prints", word="ü")
        (slot, out), (_, err) = [line for line in served.heard.lines if line[0] == 1]
        assert (slot, out["level"], out["message"]) == (1, "INFO", "out ü")
        assert (err["level"], err["message"]) == ("ERROR", "err ü")
        assert out["timestamp"].endswith("Z")
        assert served.heard.order[-2:] == ["logged", "finished"]


@pytest.mark.parametrize(
    ("function", "given", "lines"),
    [
        ("pieces", {}, ["ab", "cd", "e"]),
        ("threads", {"word": "w"}, ["thread w", "pool w"]),
        ("to_thread", {"word": "w"}, ["asyncio w"]),
        ("raw", {}, ["raw ü\ufffd line", "no end"]),
        ("nul", {}, ["a\ufffdb \ufffd"]),
        ("long_line", {}, ["x" * 64_000 + " [runtime] the rest of this line was dropped"]),
    ],
)
async def test_lines_arrive_as_written(tmp_path: Path, function: str, given: dict[str, str], lines: list[str]) -> None:
    async with serving(tmp_path, MODULE) as served:
        await served.output(function, **given)
        assert served.heard.messages(1) == lines


async def test_logging_is_caught_with_its_levels_and_the_users_configuration(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        await served.output("logs")
        lines = [(line["level"], line["message"].split("\n")[0]) for slot, line in served.heard.lines if slot == 1]
        assert lines == [("DEBUG", "debug"), ("WARNING", "warning"), ("ERROR", "exception")]
        assert "ZeroDivisionError" in served.heard.messages(1)[-1]


@pytest.mark.parametrize("function", ["side_by_side", "side_by_side_async"])
async def test_lines_of_executions_side_by_side_are_not_mixed(tmp_path: Path, function: str) -> None:
    async with serving(tmp_path, MODULE) as served:
        for slot in range(5):
            served.run(function, slot, word=f"w{slot}")
        for slot in range(5):
            assert (await served.outcome(slot)).ok
            assert served.heard.messages(slot) == [f"w{slot} {number}" for number in range(20)]


async def test_what_a_subprocess_prints_is_the_lone_executions(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        await served.output("subprocess_speaks")
        assert sorted(served.heard.messages(1)) == ["err of the shell", "out of the shell"]


async def test_lines_outside_of_an_execution_are_the_services(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        assert served.heard.messages(None) == ["while loading"]
        await served.output("late")
        await served.output("release")
        await served.heard.said("late", None)


async def test_lines_arrive_while_the_function_runs(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with serving(tmp_path, MODULE) as served:
        served.run("waits", path=str(fifo))
        await served.heard.said("before")
        fifo.write_text("go on")
        assert (await served.outcome()).ok


async def test_a_flood_is_cut_and_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        outcome = await served.call("flood", lines=20_000)
        assert outcome.ok
        messages = served.heard.messages(1)
        dropped = [int(text.split()[1]) for text in messages if text.startswith("[runtime]")]
        assert dropped
        assert sum(dropped) + len(messages) - len(dropped) == 20_000
        assert sum(map(len, messages)) < 8_000_000
        assert served.heard.order[-1] == "finished"
