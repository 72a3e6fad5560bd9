"""Whatever a function does, its execution ends, and the text says what happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.support.function_process import serving

MODULE = """
import datetime, decimal, os, signal, sys, threading, time
from collections import OrderedDict

def nothing(): pass
def given(value): return value
def raises():
    raise ValueError("the colour is\\nmauve")
def raises_below():
    raises()
def raises_from():
    try:
        raises()
    except ValueError as error:
        raise RuntimeError("no picture") from error
def interrupted(): raise KeyboardInterrupt
class Local(Exception):
    def __init__(self, a, b): super().__init__(a, b)
def unpicklable(): raise Local(lambda: 1, 2)
class Mute(Exception):
    def __str__(self): raise ValueError
def mute(): raise Mute
def exits(): sys.exit(3)
async def exits_async(): sys.exit(3)
def recursion(): return recursion()
def asks(): return input()
def sets_signal(): signal.signal(signal.SIGTERM, signal.SIG_IGN)
def generator(): yield from (1, 2, 3)
def generator_raises():
    yield 1
    raise ValueError("in the middle")
async def coroutine(n): return n + 1
async def async_generator():
    for i in range(3): yield i
async def coroutine_raises(): raise ValueError("late")
def takes_two(first, second): return [first, second]
def nan(): return {"a": [1, float("nan")]}
def infinity(): return float("inf")
def data(): return {"img": b"bytes"}
def thing(): return [1, object()]
def function(): return nothing
def tuple_key(): return {"a": {(1, 2): 3}}
def circle():
    output = {"me": []}
    output["me"].append(output)
    return output
def nested(depth):
    output = []
    for _ in range(depth - 1): output = [output]
    return output
def brackets(): return ["[" * 1000 + '"{' ] * 3
def big(size): return "x" * size
def text(): return "a\\x00b \\ud800 \\\\u0000 \\U0001f600"
def text_in_error(): raise ValueError("a\\x00b \\udcff")
def converted():
    return [datetime.datetime(2024, 1, 2, 3, 4), datetime.date(2024, 1, 2), {7}, decimal.Decimal("1.5"),
            decimal.Decimal("7"), (1, 2), OrderedDict(a=1)]
def decimal_nan(): return [decimal.Decimal("nan")]
class Array:
    def __init__(self, rows, nbytes): self.rows, self.nbytes = rows, nbytes
    def tolist(self): return self.rows
def array(): return {"pixels": Array([[1, 2]], 16)}
def huge_array(): return {"pixels": Array(None, 5 * 1024 * 1024)}
def memory(): raise MemoryError
def forks():
    pid = os.fork()
    if pid == 0:
        print("the copy")
        return "from the copy"
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def closes_low(): os.closerange(3, 256)
def moves(): os.chdir("/")
def where(): return os.getcwd()
_private = nothing
"""


@pytest.mark.parametrize(
    ("function", "given", "output"),
    [
        ("nothing", {}, None),
        ("given", {"value": {"ä": [1, 2.5, None, True, "ü"]}}, {"ä": [1, 2.5, None, True, "ü"]}),
        ("generator", {}, [1, 2, 3]),
        ("async_generator", {}, [0, 1, 2]),
        ("coroutine", {"n": 1}, 2),
        ("text", {}, "a\ufffdb \ufffd \\u0000 \U0001f600"),
        ("converted", {}, ["2024-01-02T03:04:00", "2024-01-02", [7], 1.5, 7, [1, 2], {"a": 1}]),
        ("array", {}, {"pixels": [[1, 2]]}),
        ("brackets", {}, ["[" * 1000 + '"{'] * 3),
        ("big", {"size": 4_000_000}, "x" * 4_000_000),
        ("forks", {}, 0),
    ],
)
async def test_what_a_function_gives_arrives(
    tmp_path: Path, function: str, given: dict[str, Any], output: object
) -> None:
    async with serving(tmp_path, MODULE) as served:
        assert await served.output(function, **given) == output


@pytest.mark.parametrize(
    ("function", "given", "error", "message"),
    [
        ("raises", {}, "ValueError", "the colour is mauve"),
        ("interrupted", {}, "KeyboardInterrupt", "KeyboardInterrupt"),
        ("unpicklable", {}, "main.Local", "(<function unpicklable.<locals>.<lambda> at"),
        ("mute", {}, "main.Mute", "<str() of the exception failed with ValueError>"),
        ("exits", {}, "SystemExit", "The function called sys.exit(3); the process of the service goes on"),
        ("exits_async", {}, "SystemExit", "The function called sys.exit(3); the process of the service goes on"),
        ("recursion", {}, "RecursionError", "maximum recursion depth exceeded"),
        ("memory", {}, "MemoryError", "MemoryError"),
        ("asks", {}, "EOFError", "EOF when reading a line"),
        ("sets_signal", {}, "ValueError", "signal only works in main thread"),
        ("generator_raises", {}, "ValueError", "in the middle"),
        ("coroutine_raises", {}, "ValueError", "late"),
        ("takes_two", {"first": 1}, "TypeError", "takes_two() is missing the required input 'second'; given: first"),
        ("takes_two", {}, "TypeError", "is missing the required inputs 'first', 'second'; given: nothing"),
        (
            "absent",
            {},
            "FunctionNotFound",
            "there is no function 'absent' in this module; it has: array, asks, async_generator, big, ",
        ),
        ("_private", {}, "FunctionNotFound", "there is no function '_private' in this module"),
        ("nan", {}, "OutputNotJson", "output['a'][1] is nan, which JSON cannot carry"),
        ("infinity", {}, "OutputNotJson", "output is inf, which JSON cannot carry"),
        ("decimal_nan", {}, "OutputNotJson", "output[0] is nan, which JSON cannot carry"),
        ("data", {}, "OutputNotJson", "output['img'] is of type builtins.bytes, which cannot be turned into JSON"),
        ("thing", {}, "OutputNotJson", "output[1] is of type builtins.object, which cannot be turned into JSON"),
        ("function", {}, "OutputNotJson", "output is of type builtins.function, which cannot be turned into JSON"),
        ("tuple_key", {}, "OutputNotJson", "output['a'] has the key (1, 2) of type builtins.tuple"),
        ("circle", {}, "OutputNotJson", "output['me'][0] contains itself (circular reference)"),
        ("nested", {"depth": 201}, "OutputNotJson", "output is nested deeper than 200 levels"),
        ("nested", {"depth": 50_000}, "OutputNotJson", "output is nested deeper than 200 levels"),
        (
            "big",
            {"size": 5 * 1024 * 1024},
            "OutputTooLarge",
            "larger than the maximum size allowed of 4.0MB (it has 5.0MB",
        ),
        ("huge_array", {}, "OutputTooLarge", "larger than the maximum size allowed of 4.0MB (it has 5.0MB"),
        ("text_in_error", {}, "ValueError", "a\ufffdb \ufffd"),
    ],
)
async def test_what_goes_wrong_is_told_and_the_process_goes_on(
    tmp_path: Path, function: str, given: dict[str, Any], error: str, message: str
) -> None:
    async with serving(tmp_path, MODULE) as served:
        outcome = await served.call(function, **given)
        assert not outcome.ok
        assert outcome.error_type == error
        assert message in outcome.message
        assert "\n" not in outcome.message
        assert await served.output("given", value=1) == 1


async def test_an_output_nested_200_levels_arrives(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        assert (await served.call("nested", depth=200)).output == b"[" * 200 + b"]" * 200


async def test_a_traceback_shows_the_users_code_and_nothing_else(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        told = (await served.call("raises_below")).traceback
        assert told.splitlines()[:2] == [
            "Traceback (most recent call last):",
            '  File "main.py", line 10, in raises_below',
        ]
        assert "child.py" not in told
        assert str(tmp_path) not in told
        assert told.splitlines()[-2:] == ["ValueError: the colour is", "mauve"]


async def test_a_traceback_tells_the_cause_too(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        told = (await served.call("raises_from")).traceback
        assert "ValueError: the colour is" in told
        assert "direct cause" in told
        assert told.endswith("RuntimeError: no picture\n")


async def test_a_copy_made_by_fork_does_not_speak_for_the_process(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        assert await served.output("forks") == 0
        assert await served.output("given", value=1) == 1
        assert served.heard.messages(1) == ["the copy"]


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_closing_the_low_descriptors_does_not_cut_the_channel(tmp_path: Path, concurrency: int) -> None:
    async with serving(tmp_path, MODULE, concurrency=concurrency) as served:
        assert await served.output("closes_low") is None
        assert await served.output("given", value=1) == 1


async def test_the_working_folder_is_the_modules_again_for_the_next_execution(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        await served.output("moves")
        assert await served.output("where") == str(tmp_path)


async def test_durations_and_cpu_time_are_measured(tmp_path: Path) -> None:
    source = """
    import time
    def spin():
        until = time.thread_time() + 0.02
        while time.thread_time() < until: pass
    async def spin_async(): spin()
    """
    async with serving(tmp_path, source) as served:
        for function in ("spin", "spin_async"):
            outcome = await served.call(function)
            assert 0.02 <= outcome.cpu.total_seconds() <= outcome.duration.total_seconds() + 0.001


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_ten_megabytes_of_input_arrive_beside_small_calls(tmp_path: Path, concurrency: int) -> None:
    source = "def length(text): return len(text)"
    async with serving(tmp_path, source, concurrency=concurrency) as served:
        for slot in range(20):
            served.run("length", slot, text="x" * (10_000_000 if slot % 10 == 3 else slot))
        lengths = [json.loads((await served.outcome(slot)).output) for slot in range(20)]
        assert lengths == [10_000_000 if slot % 10 == 3 else slot for slot in range(20)]


@pytest.mark.parametrize(("concurrency", "in_flight"), [(1, 1), (1, 16), (10, 10), (10, 64)])
async def test_every_one_of_many_calls_ends_with_its_own_output(
    tmp_path: Path, concurrency: int, in_flight: int
) -> None:
    calls = 2_000
    async with serving(tmp_path, "def double(n): return 2 * n", concurrency=concurrency) as served:
        for slot in range(calls):
            await served.heard.until(partial(served.heard.fewer_run_than, in_flight, slot))
            served.run("double", slot, n=slot)
        await served.heard.until(lambda: len(served.heard.outcomes) == calls)
        assert all(served.heard.outcomes[slot].output == b"%d" % (2 * slot) for slot in range(calls))


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_run_at_once_than_the_concurrency_allows(tmp_path: Path, concurrency: int) -> None:
    source = """
    import threading
    running, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(%d)
    def run():
        global running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(20)
        with lock:
            running -= 1
    def tell(): return most
    """
    async with serving(tmp_path, source % concurrency, concurrency=concurrency) as served:
        for slot in range(12):
            served.run("run", slot)
        for slot in range(12):
            assert (await served.outcome(slot)).ok
        assert await served.output("tell") == concurrency


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_both_event_loops_carry_it(tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    source = """
    import os
    def talks(text):
        print("printed")
        os.write(1, b"written")
        return text
    def dies(): os._exit(5)
    """

    async def live_and_die() -> None:
        async with serving(tmp_path, source) as served:
            assert await served.output("talks", text="x" * 1_000_000) == "x" * 1_000_000
            assert sorted(served.heard.messages(1)) == ["printed", "written"]
            served.run("dies", 2)
            assert await served.lost() == "The process ended with exit code 5"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(live_and_die())
