"""The guard against loops that lost their chain: what it takes for loops, how soon, and what others feel of it.

  bursts  ordinary bursts and streams through the guard's own decisions, simulated: how many are held, for how long, and
          how many are taken for loops, which is what must not be. Of kinds that it was made with, of fresh ones, and of
          those that wait for what the executions make of them
  loops   an engine with real loops in it: after how many executions and seconds each is held, and what 100 events a
          second of another trigger wait meanwhile, beside what they wait without the loops

Examples:
  python -m benchmarks.guard bursts --each 200
  python -m benchmarks.guard loops
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import time
from collections.abc import Mapping
from typing import Any

from benchmarks import engine, showing
from benchmarks.burst_kinds import ANSWERED, FRESH, TUNED, Kind
from benchmarks.bursts import Outcome, simulate
from benchmarks.engine import PROJECT, Engine, wait_for

LOOPS = {
    "one entity": {"kind": "one entity", "same": True, "times": 1},
    "new entities": {"kind": "new entities", "same": False, "times": 1},
    "doubling": {"kind": "doubling", "same": False, "times": 2},
}
RATE = 100


def bursts(kinds: Mapping[str, Kind], first: int, each: int) -> list[tuple[str, list[Outcome]]]:
    return [
        (name, [simulate(kind, f"{name} {seed}") for seed in range(first, first + each)])
        for name, kind in kinds.items()
    ]


def show_bursts(found: list[tuple[str, list[Outcome]]]) -> None:
    rows = []
    for kind, outcomes in found:
        delays = [outcome.later for outcome in outcomes]
        rows.append(
            (
                kind,
                str(len(outcomes)),
                str(sum(outcome.held > 0 for outcome in outcomes)),
                f"{statistics.median(delays):.1f}",
                f"{max(delays):.1f}",
                str(sum(outcome.taken_for_loop for outcome in outcomes)),
            )
        )
    print(showing.table(("KIND", "BURSTS", "HELD", "ENDED LATER S, MEDIAN", "LONGEST", "TAKEN FOR LOOPS"), rows))
    total = sum(len(outcomes) for _, outcomes in found)
    wrong = sum(outcome.taken_for_loop for _, outcomes in found for outcome in outcomes)
    print(f"\n{wrong} of {total} ordinary ones were taken for loops\n")


async def loops(seconds: float) -> None:
    async with engine.running(100) as here:
        await _trigger(here, "others", {"kind": "others"}, "measured", {})
        alone = await _others(here, "alone", seconds)
        for name, loop in LOOPS.items():
            actions = ["Updated"] if loop["same"] else ["Created"]
            await _trigger(here, name, {"kind": name}, "feed", {"url": here.url, **loop}, actions)
        began = time.time()
        for name, loop in LOOPS.items():
            await _publish(here, f"first of {name}", name, "Updated" if loop["same"] else "Created")
        beside = await _others(here, "beside", seconds)
        rows = [(name, *await _loop(here, name, began)) for name in LOOPS]
    print(showing.table(("LOOP", "EXECUTIONS", "LAST BEGAN AFTER S", "FOUND AFTER S"), rows))
    head = ("OTHERS", "EVENTS", "P50 MS", "P99 MS")
    print("\n" + showing.table(head, [("without loops", *_waits(alone)), ("beside them", *_waits(beside))]))


async def _trigger(
    here: Engine, name: str, filter: Any, function: str, given: Any, actions: list[str] | None = None
) -> None:
    spec = {
        "resource": "Item",
        "actions": actions or ["Created"],
        "filter": filter,
        "executionMode": "Always" if actions == ["Updated"] else "Once",
        "input": given,
        "operation": {"type": "function", "serviceId": here.service_id, "functionName": function},
    }
    answer = await here.http.post("/api/v1/triggers", json={"name": name, "project": PROJECT, "spec": spec})
    answer.raise_for_status()


async def _publish(here: Engine, id: str, kind: str, action: str) -> None:
    entity = {"id": id, "kind": kind, "sent": time.time()}
    event = {"id": id, "resource": "Item", "action": action, "project": PROJECT, "entity": entity}
    (await here.http.post("/api/v1/events", json=event)).raise_for_status()


async def _others(here: Engine, run: str, seconds: float) -> list[float]:
    """Milliseconds from sending each event to the start of its function; every one is executed once."""
    count = round(RATE * seconds)
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            await asyncio.sleep(max(0, began + number / RATE - asyncio.get_running_loop().time()))
            tasks.create_task(_publish(here, f"{run}-{number}", "others", "Created"))

    async def outputs() -> Any:
        rows = await here.database.fetch(
            "SELECT output FROM execution WHERE event_id LIKE $1 AND status = 'success'", f"{run}-%"
        )
        return rows if len(rows) >= count else None

    rows = await wait_for("the others' executions", outputs)
    assert len(rows) == count, f"{len(rows)} executions of {count} events"
    return sorted(1000 * json.loads(row["output"]) for row in rows)


async def _loop(here: Engine, name: str, began: float) -> tuple[str, ...]:
    async def incident() -> Any:
        return await here.database.fetchrow(
            "SELECT trigger_id, extract(epoch FROM first_at)::float8 AS found FROM incident"
            " WHERE trigger_id = (SELECT id FROM trigger WHERE name = $1)",
            name,
        )

    found = await wait_for(f"the loop of {name} to be found", incident)
    row = await here.database.fetchrow(
        "SELECT count(*) AS executions, extract(epoch FROM max(started_at))::float8 AS last FROM execution"
        " WHERE trigger_id = $1",
        found["trigger_id"],
    )
    return f"{row['executions']:,}", f"{row['last'] - began:.1f}", f"{found['found'] - began:.1f}"


def _waits(waits: list[float]) -> tuple[str, ...]:
    at = [waits[len(waits) * percent // 100] for percent in (50, 99)]
    return (f"{len(waits):,}", *(showing.number(each) for each in at))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=("bursts", "loops"))
    parser.add_argument("--each", type=int, default=100, help="bursts of each kind (100)")
    parser.add_argument("--first", type=int, default=0, help="the first's seed: others are other bursts (0)")
    parser.add_argument("--seconds", type=float, default=15, help="of others' events, without and beside loops (15)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if given.mode == "bursts":
        for kinds in (TUNED, FRESH, ANSWERED):
            show_bursts(bursts(kinds, given.first, given.each))
    else:
        asyncio.run(loops(given.seconds))


if __name__ == "__main__":
    main()
