"""How executions are ended, and processes: the stop ladder, deaths of every kind, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from agent.process import LoadFailed
from tests.support.function_process import Served, serving

TERMINATED = "Execution received termination signal"

MODULE = """
import asyncio, ctypes, os, signal, subprocess, sys, threading, time

class ServiceRunner:
    def asks(self):
        print("inside", flush=True)
        while True:
            self.kill_event()
            time.sleep(0.001)
    def asks_context(self, context):
        print("inside")
        while True:
            context.kill_event()
            time.sleep(0.001)
    def loops(self):
        print("inside")
        while True: pass
    def sleeps(self):
        print("inside")
        time.sleep(1000)
    def locks(self):
        print("inside")
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    def withstands(self):
        print("inside")
        while True:
            try:
                turns = 0  # CPython counts the jump of a loop that opens a `try` as before it
                while True: turns += 1
            except BaseException:
                pass
    async def awaits(self):
        print("inside")
        await asyncio.sleep(1000)
    async def cleans_up(self):
        print("inside")
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            print("cleaned up")
    def hogs(self):
        print("inside")
        sys.stdout.flush()
        time.sleep(0.2)
        pow(7, 10**9)
    def waits_for(self, path):
        print("inside")
        with open(path) as file: return file.read()
    def ok(self): return 1
    def exits(self): os._exit(5)
    def crashes(self): ctypes.string_at(0)
    def aborts(self): os.abort()
    def signals(self, number): os.kill(os.getpid(), number); time.sleep(1000)
    def kills_group(self): os.killpg(0, 9)
    def closes_everything(self): os.closerange(3, 70000)
    def pid(self): return os.getpid()
    def starts(self, command):
        child = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE)
        return child.stdout.readline().decode().strip()
"""


async def inside(served: Served, function: str, slot: int = 1, **given: object) -> None:
    served.run(function, slot, **given)
    await served.heard.said("inside", slot)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("concurrency", [1, 10])
@pytest.mark.parametrize("function", ["asks", "asks_context"])
async def test_a_soft_termination_raises_where_the_function_asks(
    tmp_path: Path, function: str, concurrency: int
) -> None:
    async with serving(tmp_path, MODULE, concurrency=concurrency) as served:
        await inside(served, function)
        served.process.terminate(1, TERMINATED, hard=False)
        outcome = await served.outcome()
        assert (outcome.ok, outcome.error_type, outcome.message) == (False, "InterruptedError", TERMINATED)
        assert await served.output("ok") == 1


@pytest.mark.parametrize(
    ("function", "concurrency"),
    [("loops", 10), ("loops", 1), ("sleeps", 1), ("locks", 1), ("awaits", 10), ("awaits", 1), ("cleans_up", 10)],
)
async def test_a_hard_termination_ends_what_does_not_ask(tmp_path: Path, function: str, concurrency: int) -> None:
    async with serving(tmp_path, MODULE, concurrency=concurrency) as served:
        await inside(served, function)
        served.process.terminate(1, TERMINATED, hard=False)
        served.process.terminate(1, TERMINATED, hard=True)
        outcome = await served.outcome()
        assert (outcome.ok, outcome.error_type, outcome.message) == (False, "Terminated", TERMINATED)
        assert await served.output("ok") == 1
        if function == "cleans_up":
            assert served.heard.messages(1)[:2] == ["inside", "cleaned up"]


@pytest.mark.parametrize(("function", "concurrency"), [("withstands", 10), ("sleeps", 10), ("locks", 10)])
async def test_what_withstands_termination_is_lost_with_its_process(
    tmp_path: Path, function: str, concurrency: int
) -> None:
    async with serving(tmp_path, MODULE, concurrency=concurrency) as served:
        await inside(served, function)
        served.process.terminate(1, TERMINATED, hard=True)
        assert (await served.call("ok", 2)).ok
        served.process.kill("Execution 1 did not end")
        assert await served.lost() == "Execution 1 did not end"
        assert list(served.heard.outcomes) == [2], served.heard.outcomes


async def test_a_call_terminated_before_its_turn_does_not_run(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with serving(tmp_path, MODULE, concurrency=1) as served:
        await inside(served, "waits_for", path=str(fifo))
        served.run("loops", 2)
        served.process.terminate(2, TERMINATED, hard=False)
        fifo.write_text("go on")
        outcome = await served.outcome(2)
        assert (outcome.error_type, outcome.message) == ("Terminated", TERMINATED)
        assert served.heard.messages(2) == []


async def test_terminating_one_execution_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with serving(tmp_path, MODULE) as served:
        await inside(served, "waits_for", 1, path=str(fifo))
        await inside(served, "loops", 2)
        served.process.terminate(2, TERMINATED, hard=True)
        assert (await served.outcome(2)).error_type == "Terminated"
        fifo.write_text("go on")
        assert (await served.outcome(1)).output == b'"go on"'


@pytest.mark.parametrize("concurrency", [1, 10])
@pytest.mark.parametrize("function", ["short", "short_async", "short_thread"])
async def test_a_termination_that_comes_too_late_hits_nobody(tmp_path: Path, function: str, concurrency: int) -> None:
    source = """
    import sys, threading
    sys.setswitchinterval(0.0001)
    def short(n):
        for _ in range(2000): pass
        return n
    async def short_async(n):
        return short(n)
    def short_thread(n):
        threading.Thread(target=short, args=(n,)).start()
        return n
    """
    calls, in_flight = 3_000, 2 * concurrency
    async with serving(tmp_path, source, concurrency=concurrency) as served:
        heard = served.heard
        for slot in range(calls):
            await heard.until(partial(heard.fewer_run_than, in_flight, slot))
            served.run(function, slot, n=slot)
            if slot >= concurrency:
                served.process.terminate(slot - concurrency, TERMINATED, hard=True)
        await heard.until(lambda: len(heard.outcomes) == calls)
        for slot, outcome in heard.outcomes.items():
            expected = outcome.output == b"%d" % slot if outcome.ok else outcome.error_type == "Terminated"
            assert expected, (slot, outcome)
        hit = sum(not outcome.ok for outcome in heard.outcomes.values())
        assert 0 < hit <= calls - concurrency


# Deaths


@pytest.mark.parametrize(
    ("function", "given", "reason"),
    [
        ("exits", {}, "The process ended with exit code 5"),
        ("crashes", {}, "The process was killed by signal 11 (SIGSEGV)\nFatal Python error: Segmentation fault"),
        ("aborts", {}, "The process was killed by signal 6 (SIGABRT)\nFatal Python error: Aborted"),
        ("signals", {"number": 15}, "The process was killed by signal 15 (SIGTERM)"),
        ("signals", {"number": 9}, "The process was killed by signal 9 (SIGKILL)"),
        ("kills_group", {}, "The process was killed by signal 9 (SIGKILL)"),
        ("closes_everything", {}, "The function closed the runtime's connection"),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 10])
async def test_a_death_loses_what_was_running_and_tells_how(
    tmp_path: Path, function: str, given: dict[str, int], reason: str, concurrency: int
) -> None:
    async with serving(tmp_path, MODULE, concurrency=concurrency) as served:
        assert await served.output("ok") == 1
        served.run(function, 2, **given)
        assert (await served.lost()).startswith(reason)
        assert list(served.heard.outcomes) == [1]


async def test_a_module_that_does_not_load_in_time_is_ended(tmp_path: Path) -> None:
    source = "import subprocess\nsubprocess.run(['sleep', '1000'])"
    with pytest.raises(LoadFailed, match=r"Loading the module took more than 0\.3 s"):
        async with serving(tmp_path, source, load_timeout=timedelta(seconds=0.3)):
            pass


# Nothing left behind

DAEMON = "setsid sh -c 'echo $$; exec sleep 1000' & disown 2>/dev/null; wait"


async def test_stopping_waits_for_what_runs(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with serving(tmp_path, MODULE) as served:
        await inside(served, "waits_for", path=str(fifo))
        stopping = asyncio.create_task(served.process.stop(timedelta(seconds=20)))
        await asyncio.sleep(0)
        fifo.write_text("go on")
        await stopping
        assert served.heard.outcomes[1].ok
        assert served.heard.lost_because is None
        assert not is_alive(served.process.pid)
        await served.process.stop(timedelta(0))


async def test_stopping_loses_what_does_not_end_within_the_grace(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        await inside(served, "sleeps")
        await served.process.stop(timedelta(seconds=0.05))
        assert served.heard.lost_because == "The process was stopped; what ran had 0.05 s to finish"
        assert not is_alive(served.process.pid)


async def test_stopping_sweeps_daemons_and_runs_exit_handlers(tmp_path: Path) -> None:
    handlers = f"import atexit\natexit.register(lambda: open({str(tmp_path / 'left')!r}, 'w').close())\n"
    async with serving(tmp_path, handlers + MODULE) as served:
        daemon = int(await served.output("starts", command=DAEMON))
        assert is_alive(daemon)
        await served.process.stop(timedelta(seconds=5))
        assert not is_alive(daemon)
        assert (tmp_path / "left").exists()


async def test_a_death_sweeps_daemons_too(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        daemon = int(await served.output("starts", command=DAEMON))
        served.run("exits", 2)
        await served.lost()
        assert not is_alive(daemon)


async def test_a_killed_guard_takes_the_process_with_it(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULE) as served:
        end = os.pidfd_open(served.process.pid)
        os.kill(parent_of(served.process.pid), signal.SIGKILL)
        assert await served.lost() == "The guard of the process was killed"
        await ended([end])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


AGENT = """
import asyncio, os, sys
from datetime import timedelta
from functools import partial
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.support.function_process import serving

async def main():
    async with serving(Path({folder!r}), concurrency=int(sys.argv[2])) as served:
        pids = [served.process.pid]
        if sys.argv[1] == "starts":
            pids.append(int(await served.output("starts", command={daemon!r})))
        elif sys.argv[1] != "idle":
            served.run(sys.argv[1])
            await served.heard.said("inside")
        print(*pids, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("concurrency", [1, 10])
@pytest.mark.parametrize("doing", ["idle", "hogs", "sleeps", "withstands", "starts"])
async def test_a_killed_agent_leaves_nothing_behind(tmp_path: Path, doing: str, concurrency: int) -> None:
    (tmp_path / "main.py").write_text(MODULE)
    root = str(Path(__file__).parents[2])
    script = AGENT.format(root=root, folder=str(tmp_path), daemon=DAEMON)
    await ended(ends_after_kill([sys.executable, "-c", script, doing, str(concurrency)]))


def ends_after_kill(command: list[str]) -> list[int]:
    """Pidfds of the processes that the agent names, once it has been killed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        pids = [int(pid) for pid in agent.stdout.readline().split()]
        assert pids
        ends = [os.pidfd_open(pid) for pid in pids]
        agent.kill()
    return ends


async def ended(pidfds: list[int]) -> None:
    """Return when all these processes have ended."""
    loop = asyncio.get_running_loop()
    for pidfd in pidfds:
        gone = asyncio.Event()
        loop.add_reader(pidfd, gone.set)
        try:
            async with asyncio.timeout(10):
                await gone.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
