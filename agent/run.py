"""The executions that this agent holds: given to the process that runs the functions, watched, and reported on.

    take ─► begin ─► (FunctionProcess) ─► finished | lost ─► report

Each has a slot from its taking to its end. Time limits and requests to end go up one ladder: ask, insist, and when
neither helps let the others finish and end the process.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
import orjson

from agent.process import FunctionProcess, Outcome
from agent.report import Outbox
from backbone.kit import metrics
from backbone.model.messages import RERUN, Finished, Logged, Progressed, Started, WorkItem

INSIST_AFTER = 2.0  # seconds after a function was asked to end
GIVE_UP_AFTER = 10.0  # seconds after it was told to
TIMED_OUT = "Execution stopped due to runner timeout"
TERMINATED = "Execution received termination signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the service says of its executions."""

    execution_timeout: timedelta
    drain_time: timedelta
    on_reset: Literal["failed", "rerun"]


@dataclass(slots=True)
class _Held:
    item: WorkItem
    started_at: datetime
    began: float  # on the loop's clock
    reports: int = 0
    chunks: int = 0
    stopping: str = ""  # why it is being ended
    step: int = 0  # how far up the ladder
    next_step: float = 0.0


class _Progress(msgspec.Struct, rename="camel"):
    """As functions say it, which is any JSON: what is odd in it must not end the process that others run in too."""

    status: Any = None
    percent_complete: Any = None
    message: Any = None
    output: msgspec.Raw | None = None


_progress = msgspec.json.Decoder(_Progress)


class Executions:
    """Is told by FunctionProcess what happens (see `agent.process.Listener`)."""

    def __init__(self, slots: int, rules: Rules, outbox: Outbox) -> None:
        self._rules = rules
        self._outbox = outbox
        self._held: dict[int, _Held] = {}
        self._free = list(range(slots))
        self._clock = asyncio.get_running_loop().time
        self._poisoned_at = 0.0
        self._leaving = False
        self._durations: dict[str, list[float]] = {}
        self.process: FunctionProcess  # the one adopted last
        self.room = asyncio.Event()
        self.gone = asyncio.Event()
        self.reason_gone = ""

    @property
    def free(self) -> int:
        """How many more may be taken now."""
        return len(self._free) if self.is_usable else 0

    @property
    def is_usable(self) -> bool:
        """There is a process that may begin something."""
        return not self._poisoned_at and not self.gone.is_set()

    async def until_usable(self) -> None:
        """What was taken before the process went away waits for the next one."""
        while not self.is_usable:
            self.room.clear()
            await self.room.wait()

    def adopt(self, process: FunctionProcess) -> None:
        self.process = process
        self._poisoned_at = 0.0
        if not process.gone:  # it may have gone between its start and now
            self.gone.clear()
            self.room.set()

    def leave(self) -> None:
        """This agent goes: what it cannot finish is not the function's fault and runs again elsewhere."""
        self._leaving = True

    def begin(self, item: WorkItem) -> None:
        slot = self._free.pop()
        now = datetime.now(UTC)
        self._held[slot] = _Held(item, now, self._clock())
        self.process.run(
            slot,
            item.function_name,
            execution=_execution(item),
            input=item.input,
            event=_event(item),
            causation=item.causation or b"null",
        )
        self._outbox.put(Started(execution_id=item.execution_id, attempt=item.attempt, at=now))

    # What FunctionProcess tells

    def progressed(self, slot: int, report: bytes) -> None:
        held = self._held[slot]
        told = _progress.decode(report)
        held.reports += 1
        self._outbox.put(
            Progressed(
                execution_id=held.item.execution_id,
                attempt=held.item.attempt,
                number=held.reports,
                at=datetime.now(UTC),
                status=_words(told.status),
                percent=int(told.percent_complete) if isinstance(told.percent_complete, int | float) else None,
                message=_words(told.message),
                output=None if told.output is None else bytes(told.output),
            )
        )

    def logged(self, slot: int | None, lines: bytes) -> None:
        held = None if slot is None else self._held.get(slot)
        if held is None:
            return
        held.chunks += 1
        self._outbox.put(
            Logged(
                execution_id=held.item.execution_id,
                attempt=held.item.attempt,
                number=held.chunks,
                at=datetime.now(UTC),
                lines=lines,
            )
        )

    def finished(self, slot: int, outcome: Outcome) -> None:
        held = self._release(slot)
        if outcome.ok:
            self._report(held, "success", outcome.duration, output=outcome.output)
        elif held.stopping:
            self._stopped(held, outcome.duration, outcome.traceback)
        else:
            self._report(held, "failed", outcome.duration, message=outcome.message, traceback=outcome.traceback)

    def lost(self, reason: str) -> None:
        """The process is gone: what it held ends here, and the service says whether it is tried again."""
        self.reason_gone = reason
        now = self._clock()
        for slot in list(self._held):
            held = self._release(slot)
            duration = timedelta(seconds=now - held.began)
            if held.stopping:
                self._stopped(held, duration, "")
            elif self._leaving:
                self._report(held, RERUN, duration, message="the agent was stopped before the function ended")
            else:
                may_retry = self._rules.on_reset == "rerun"
                self._report(held, "failed", duration, message=reason, may_retry=may_retry)
        self.gone.set()
        self.room.set()

    # Ending them

    def terminate(self, execution_ids: set[UUID]) -> None:
        """Somebody asked these to end."""
        for slot, held in self._held.items():
            if held.item.execution_id in execution_ids and not held.stopping:
                self._stop(slot, held, TERMINATED)

    async def watch(self) -> None:
        """Time limits, and the steps of the ladder."""
        while True:
            await asyncio.sleep(0.25)
            self.count()
            now = self._clock()
            limit = self._rules.execution_timeout.total_seconds()
            for slot, held in list(self._held.items()):
                if held.stopping:
                    if now >= held.next_step:
                        self._climb(slot, held, now)
                elif now - held.began >= limit:
                    self._stop(slot, held, f"{TIMED_OUT}: it ran longer than {limit:g} s")
            if self._poisoned_at:
                self._end_process(now)

    def count(self) -> None:
        """Bring what has ended to the metrics: not one by one, as each costs as much as half an execution."""
        durations, self._durations = self._durations, {}
        for status, seconds in durations.items():
            metrics.executions_finished.labels(status).inc(len(seconds))
            metrics.observe(metrics.run_time, seconds)

    def _stop(self, slot: int, held: _Held, reason: str) -> None:
        held.stopping = reason
        held.step, held.next_step = 1, self._clock() + INSIST_AFTER
        self.process.terminate(slot, reason, hard=False)

    def _climb(self, slot: int, held: _Held, now: float) -> None:
        if held.step == 1:
            held.step, held.next_step = 2, now + GIVE_UP_AFTER
            self.process.terminate(slot, held.stopping, hard=True)
        elif held.step == 2:
            held.step, held.next_step = 3, float("inf")
            self._poisoned_at = self._poisoned_at or now

    def _end_process(self, now: float) -> None:
        """A function that nothing ends holds a thread: nothing new begins, the others finish, then all of it goes."""
        waited = now - self._poisoned_at
        if all(held.step == 3 for held in self._held.values()) or waited > self._rules.drain_time.total_seconds():
            self.process.kill("a function could not be ended any other way")

    def _stopped(self, held: _Held, duration: timedelta, traceback: str) -> None:
        timed_out = held.stopping.startswith(TIMED_OUT)
        self._report(
            held,
            "failed",
            duration,
            message=held.stopping,
            traceback=traceback,
            may_retry=timed_out and self._rules.on_reset == "rerun",
        )

    def _release(self, slot: int) -> _Held:
        held = self._held.pop(slot)
        self._free.append(slot)
        self.room.set()
        return held

    def _report(
        self,
        held: _Held,
        status: str,
        duration: timedelta,
        *,
        output: bytes | None = None,
        message: str = "",
        traceback: str = "",
        may_retry: bool = True,
    ) -> None:
        seconds = duration.total_seconds()
        self._outbox.put(
            Finished(
                execution_id=held.item.execution_id,
                attempt=held.item.attempt,
                max_attempts=held.item.max_attempts,
                at=datetime.now(UTC),
                started_at=held.started_at,
                status=status,
                duration=seconds,
                output=output,
                message=message,
                traceback=traceback,
                may_retry=may_retry,
            )
        )
        self._durations.setdefault(status, []).append(seconds)


def _words(told: Any) -> str | None:
    return told if told is None or isinstance(told, str) else msgspec.json.encode(told).decode()


def _execution(item: WorkItem) -> bytes:
    """Both spellings of the trigger's id: the API has one, the platform's runner reads the other."""
    return orjson.dumps(
        {
            "id": str(item.execution_id),
            "attempt": item.attempt,
            "maxAttempts": item.max_attempts,
            "functionName": item.function_name,
            "projectId": item.project_id,
            "serviceId": item.service_id,
            "triggerId": item.trigger_id,
            "trigger_id": item.trigger_id,
            **({} if item.traceparent is None else {"traceparent": item.traceparent}),
            **({} if item.tracestate is None else {"tracestate": item.tracestate}),
        }
    )


def _event(item: WorkItem) -> bytes:
    if item.event_id is None:
        return b"null"
    head = orjson.dumps(
        {
            "id": item.event_id,
            "resource": item.resource,
            "action": item.action,
            "time": item.event_time,
            "actor": item.actor,
            "projectId": item.project_id,
        }
    )
    return b'%b,"entity":%b}' % (head[:-1], item.entity or b"null")
