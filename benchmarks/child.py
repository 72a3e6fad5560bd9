"""Calls a second through one function process, and what a call costs on either side.

    python benchmarks/child.py [--calls N] [--event-bytes N] [--uvloop]

Each row is so many threads in the child and so many calls in flight. Every call's outcome is counted and compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.process import FunctionProcess, ModuleSpec, Outcome

MODULE = """
def nothing(): return None
def number(n): return n + 1
def of_item(item): return item["id"]
def talk(n):
    print("one")
    print("two")
    return n + 1
async def waits(n): return n + 1
"""

INPUT = {"nothing": b"{}", "number": b'{"n":1}', "of_item": b"{}", "talk": b'{"n":1}', "waits": b'{"n":1}'}
EXPECTED = {"nothing": b"null", "number": b"2", "of_item": b'"65f0"', "talk": b"2", "waits": b"2"}


@dataclass
class Load:
    """Keeps so many calls in flight until all are done."""

    function: str
    calls: int
    event: bytes
    process: FunctionProcess = field(init=False)
    started: int = 0
    well: int = 0
    lines: int = 0
    latencies: list[float] = field(default_factory=list)
    begun: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.over = asyncio.Event()

    def call(self, slot: int) -> None:
        self.started += 1
        self.begun[slot] = time.perf_counter()
        self.process.run(
            slot,
            self.function,
            execution=b'{"id":"e","triggerId":"t"}',
            input=INPUT[self.function],
            event=self.event,
            causation=b"[]",
        )

    def finished(self, slot: int, outcome: Outcome) -> None:
        self.latencies.append(time.perf_counter() - self.begun[slot])
        self.well += outcome.ok and outcome.output == EXPECTED[self.function]
        if self.started < self.calls:
            self.call(slot)
        elif len(self.latencies) == self.calls:
            self.over.set()

    def logged(self, slot: int | None, lines: bytes) -> None:
        self.lines += len(json.loads(lines))

    def progressed(self, slot: int, report: bytes) -> None:
        raise AssertionError(report)

    def lost(self, reason: str) -> None:
        raise AssertionError(reason)


def cpu_of(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(folder: Path, function: str, threads: int, in_flight: int, calls: int, event: bytes) -> None:
    load = Load(function, calls, event)
    spec = ModuleSpec(folder=folder, concurrency=threads, environment={"PATH": os.environ["PATH"]})
    load.process = process = FunctionProcess(spec, load)
    await process.start()
    try:
        agent_cpu, child_cpu, begun = own_cpu(), cpu_of(process.pid), time.perf_counter()
        for slot in range(min(in_flight, calls)):
            load.call(slot)
        await load.over.wait()
        took = time.perf_counter() - begun
        agent_cpu, child_cpu = own_cpu() - agent_cpu, cpu_of(process.pid) - child_cpu
    finally:
        await process.stop(timedelta(seconds=5))
    assert load.well == calls, f"{load.well} of {calls} calls ended well"
    assert load.lines == (2 * calls if function == "talk" else 0), f"{load.lines} log lines"
    latencies = sorted(load.latencies)
    print(
        f"{function:8} {threads:3}/{in_flight:<3} {calls / took:9,.0f} calls/s   "
        f"agent {agent_cpu / calls * 1e6:5.1f} us  child {child_cpu / calls * 1e6:5.1f} us   "
        f"p50 {latencies[calls // 2] * 1e3:.2f} ms  p99 {latencies[calls * 99 // 100] * 1e3:.2f} ms",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=30_000, help="calls a row (default 30000)")
    parser.add_argument("--event-bytes", type=int, default=1300, help="size of each call's event (default 1300)")
    parser.add_argument("--uvloop", action="store_true", help="run the agent's side on uvloop")
    arguments = parser.parse_args()
    user = {f"field{number}": "x" * 40 for number in range(max(0, arguments.event_bytes - 130) // 54)}
    entity = {"id": "65f0", "name": "/photos/cat.jpg", "metadata": {"user": user}}
    event = json.dumps({"id": "1", "resource": "Item", "action": "Created", "entity": entity}).encode()

    async def rows() -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "main.py").write_text(MODULE)
            for function, threads, in_flight in [
                *[("number", *row) for row in ((1, 1), (1, 16), (10, 1), (10, 10), (10, 64))],
                *[(name, 10, 64) for name in ("nothing", "of_item", "talk", "waits")],
            ]:
                calls = arguments.calls if in_flight > 1 and function != "waits" else arguments.calls // 5
                await measure(Path(folder), function, threads, in_flight, calls, event)

    if arguments.uvloop:
        import uvloop

        uvloop.run(rows())
    else:
        asyncio.run(rows())


if __name__ == "__main__":
    main()
