"""One timed run of events through an engine: sent, settled, counted, and what each process used for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import load, processes
from benchmarks.engine import Engine

GENERATOR = "load generator"
PATIENCE = 20.0
"""Seconds without one more settled execution after which a run has failed."""
SLOWEST = 200
"""Events a second below which nobody wants to wait for the end."""

# Asked when the timing is over. The ids of a run are its name, a hyphen and digits.
COUNTED = """
    SELECT (SELECT count(*) FROM event WHERE id > $1 || '-' AND id < $1 || '-~') AS events,
           count(*) AS executions, count(DISTINCT event_id) AS of_events,
           count(*) FILTER (WHERE status = 'success' AND attempt = 1) AS successes
    FROM execution WHERE event_id > $1 || '-' AND event_id < $1 || '-~'
"""
DELAYS = """
    SELECT percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY convert_from(output, 'UTF8')::float8 * 1000)
    FROM execution WHERE event_id > $1 || '-' AND event_id < $1 || '-~'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    events: int
    seconds: float
    """From the first event's sending to the last execution settled."""
    p50: float
    """Milliseconds from an event's sending to its function's start."""
    p99: float
    longest: float
    cpu: dict[str, float]
    """Microseconds an execution, by process."""
    memory: dict[str, int]
    """Bytes at the end, by process."""
    grown: dict[str, int]
    """Bytes more than at the beginning, by process."""
    idle: float
    """Share of the machine's processor time that nobody used."""

    @property
    def rate(self) -> float:
        return self.events / self.seconds


Send = Callable[[Engine, load.Plan], Awaitable[dict[str, Any]]]
"""Has all events of a plan sent; says when that `began`, and the `cpu` time it took."""


async def over_http(engine: Engine, plan: load.Plan) -> dict[str, Any]:
    return await load.run(engine.url, plan)


async def measure(engine: Engine, plan: load.Plan, send: Send = over_http) -> Run:
    calls = await engine.calls()
    await engine.quiet()
    settled, used, machine = await engine.settled(), await engine.processes(), processes.machine()
    async with asyncio.timeout(60 + plan.events / (plan.rate or SLOWEST)):
        sent = await send(engine, plan)
    await _all_settled(engine, settled, plan.events, sent["began"])
    ended = time.time()
    machine_after, used_after = processes.machine(), await engine.processes()
    await _assert_counts(engine, plan)
    calls = await engine.calls() - calls
    assert calls == plan.events, f"the function ran {calls:,} times for {plan.events:,} events"
    p50, p99, longest = await engine.database.fetchval(DELAYS, plan.run)
    cpu = {name: use.cpu - used[name].cpu if name in used else use.cpu for name, use in used_after.items()}
    return Run(
        events=plan.events,
        seconds=ended - sent["began"],
        p50=p50,
        p99=p99,
        longest=longest,
        cpu={name: each / plan.events * 1e6 for name, each in {**cpu, GENERATOR: sent["cpu"]}.items()},
        memory={name: use.memory for name, use in used_after.items()},
        grown={name: use.memory - used[name].memory for name, use in used_after.items() if name in used},
        idle=(machine_after[1] - machine[1]) / (machine_after[0] - machine[0]),
    )


async def _all_settled(engine: Engine, before: int, events: int, began: float) -> None:
    """Asks seldom, and more often the nearer the end must be, so that asking takes no time of what is measured."""
    done, last_progress = 0, time.time()
    while (now_done := await engine.settled() - before) < events:
        now = time.time()
        if now_done > done:
            done, last_progress = now_done, now
        if now - last_progress > PATIENCE:
            raise AssertionError(f"{done:,} of {events:,} executions settled, and no more for {PATIENCE:.0f} s")
        await asyncio.sleep(pause(done, events, now - began))


def pause(done: int, all_: int, seconds: float) -> float:
    """Half of what it will take from here at the pace so far."""
    if done == 0:
        return 0.1
    return min(2.0, max(0.01, (all_ - done) * seconds / done / 2))


async def _assert_counts(engine: Engine, plan: load.Plan) -> None:
    counted: dict[str, Any] = dict(await engine.database.fetchrow(COUNTED, plan.run))
    expected = dict.fromkeys(("events", "executions", "of_events", "successes"), plan.events)
    assert counted == expected, f"{counted} where all are to be {plan.events}"
