"""The agent's side of the process that runs a service's functions (`agent/child.py`).

`FunctionProcess` starts it, gives it calls and hands what comes back to a `Listener`. What users' functions take and
give are opaque bytes here: no input, output or log line is ever parsed in the agent, so none of them can stall it.

Whatever happens, every call ends exactly once: by `finished`, or, when the process is gone, by the one `lost` for all
that were not finished. Both are called on the event loop, one after the other. What the process left behind, its guard
has killed before `lost` is called or `stop` returns; the guard does the same when the agent itself is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, cast

from agent import child
from agent.guarded import Guarded
from backbone.model.errors import TriggerEngineError

__all__ = ["FunctionProcess", "Listener", "LoadFailed", "ModuleSpec", "Outcome"]

LEAVING = timedelta(seconds=2)
"""How long a drained process may take for its own exit handlers."""

HANGING_UP = timedelta(milliseconds=500)
"""A process that dies closes its channel a moment before its guard tells how; one that lives on closed it itself."""

GUARD_PATIENCE = timedelta(seconds=10)
"""How long the guard may take to kill everything: it gives up on what it cannot kill after five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSpec:
    """What to load, and how."""

    folder: Path
    entry_point: str = "main.py"
    class_name: str | None = "ServiceRunner"  #: None, or absent in the file: the functions are the module's own
    init_params: bytes = b"{}"  #: a JSON object: what the class is constructed with, once
    functions: bytes = b"[]"  #: JSON of the declared functions: [{"name", "input": [{"name", "type"}]}]
    service: bytes = b"{}"  #: a JSON object: what `context.service` is
    concurrency: int = 10
    load_timeout: timedelta = timedelta(minutes=2)
    environment: Mapping[str, str]
    python: str = sys.executable


@dataclass(slots=True)
class Outcome:
    """How a call ended."""

    ok: bool
    output: bytes = b"null"
    error_type: str = ""
    message: str = ""
    traceback: str = ""
    duration: timedelta = timedelta()
    cpu: timedelta = timedelta()


class Listener(Protocol):
    """Who is told. Called on the loop, synchronously, in the order in which things happened."""

    def progressed(self, slot: int, report: bytes) -> None:
        """JSON of status, percentComplete, message, output, duration, action: those that were given."""

    def logged(self, slot: int | None, lines: bytes) -> None:
        """A JSON array of {timestamp, level, message}. Slot None: of no execution, or of one that nobody can tell."""

    def finished(self, slot: int, outcome: Outcome) -> None:
        """The slot is free."""

    def lost(self, reason: str) -> None:
        """The process is gone, and with it every call that had not finished."""


class LoadFailed(TriggerEngineError):
    """The module could not be loaded: the service cannot run."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.traceback = traceback


class FunctionProcess:
    """One process of one service. Started once, stopped once."""

    def __init__(self, spec: ModuleSpec, listener: Listener) -> None:
        self._spec = spec
        self._listener = listener
        self._guarded = Guarded(self._overheard, self._ended)
        self._frames = _Frames(self._received, self._hung_up)
        self._running: set[int] = set()
        self._unwritten: list[bytes] = []
        self._pid = 0
        self._drained, self._gone = asyncio.Event(), asyncio.Event()
        self._gone.set()
        self._kill_reason = ""
        self._loaded = False
        self._stopping = False

    @property
    def pid(self) -> int:
        """The process that runs the functions; its parent is the guard."""
        return self._pid

    @property
    def gone(self) -> bool:
        """Nothing runs in it, and nothing will."""
        return self._gone.is_set()

    async def start(self) -> None:
        """Return when the module is loaded; raise LoadFailed when that cannot be."""
        spec = self._spec
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        try:
            channel = self._guarded.spawn(spec.python, spec.folder, spec.environment)
        except OSError as error:
            raise LoadFailed(f"{spec.python} could not be started in {spec.folder}: {error}") from error
        self._gone.clear()
        await self._loop.create_unix_connection(lambda: self._frames, sock=channel)
        self._write(child.INIT, child.SERVICE, settings(spec))
        try:
            async with asyncio.timeout(spec.load_timeout.total_seconds()):
                await self._ready
        except BaseException as error:
            self._stopping = True
            await self._end("It was not wanted any more")
            if isinstance(error, TimeoutError):
                raise LoadFailed(f"Loading the module took more than {spec.load_timeout.total_seconds():g} s") from None
            raise

    def run(
        self,
        slot: int,
        function: str,
        *,
        execution: bytes,
        input: bytes = b"{}",
        event: bytes = b"null",
        causation: bytes = b"null",
    ) -> None:
        """Call a function. Never blocks; what is called in one turn of the loop leaves in one write.

        The parts are JSON; the child decodes each only when the function wants something of it.
        """
        name = function.encode()
        size = child.CALL.size + len(name) + len(execution) + len(input) + len(event) + len(causation)
        if not self._unwritten:
            self._write_soon()
        self._running.add(slot)
        self._unwritten += (
            child.HEAD.pack(child.RUN, slot, size),
            child.CALL.pack(len(name), len(execution), len(input), len(event)),
            name,
            execution,
            input,
            event,
            causation,
        )

    def terminate(self, slot: int, reason: str, *, hard: bool) -> None:
        """End one call. Soft asks: `kill_event()` raises in it. Hard raises in it wherever Python code runs.

        A call may withstand both, inside a C library or by catching everything: then only `kill` helps.
        """
        if slot in self._running:
            self._write(child.TERMINATE, slot, child.STOP.pack(hard) + reason.encode())

    def kill(self, reason: str) -> None:
        """End the process and whatever it started, now. `lost` follows, with this reason."""
        self._kill_reason = self._kill_reason or reason
        self._guarded.kill()

    async def stop(self, grace: timedelta) -> None:
        """Let what runs finish within the grace, then end the process. Leaves nothing behind; may be called again."""
        if self._gone.is_set():
            return
        self._stopping = True
        try:
            async with asyncio.timeout(grace.total_seconds()):
                while self._running:
                    self._drained.clear()
                    await self._drained.wait()
            if not self._gone.is_set():
                self._write(child.EXIT, child.SERVICE, b"")
            async with asyncio.timeout(LEAVING.total_seconds()):
                await self._gone.wait()
        except TimeoutError:
            pass
        await self._end(f"The process was stopped; what ran had {grace.total_seconds():g} s to finish")

    async def _end(self, reason: str) -> None:
        self.kill(reason)
        try:
            async with asyncio.timeout(GUARD_PATIENCE.total_seconds()):
                await self._gone.wait()
        except TimeoutError:
            self._guarded.kill_without_guard(self._pid)
            await self._gone.wait()

    # Out

    def _write(self, kind: int, slot: int, body: bytes) -> None:
        if not self._unwritten:
            self._write_soon()
        self._unwritten += (child.HEAD.pack(kind, slot, len(body)), body)

    def _write_soon(self) -> None:
        if self._gone.is_set():
            raise RuntimeError("the process is gone")
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._frames.write(b"".join(self._unwritten))
        self._unwritten.clear()

    # In

    def _received(self, kind: int, slot: int, body: bytes) -> None:
        if kind == child.DONE:
            self._finished(slot, body)
        elif kind == child.LOG:
            self._listener.logged(None if slot == child.SERVICE else slot, body)
        elif kind == child.PROGRESS:
            self._listener.progressed(slot, body)
        elif kind == child.STARTED:
            self._pid = int(body)
        elif not self._ready.done():  # READY or FAILED
            self._loaded = kind == child.READY
            if self._loaded:
                self._ready.set_result(None)
            else:
                error = json.loads(body)
                self._ready.set_exception(LoadFailed(f"{error['type']}: {error['message']}", error["traceback"]))

    def _finished(self, slot: int, body: bytes) -> None:
        if len(self._running) == 1:
            self._guarded.overhear()  # what the call wrote past sys.stdout is there by now, and is nobody else's
        self._running.discard(slot)
        ok, wall, cpu = child.RESULT.unpack_from(body)
        rest, duration, cpu_time = body[child.RESULT.size :], timedelta(0, 0, wall), timedelta(0, 0, cpu)
        if ok:
            outcome = Outcome(True, rest, "", "", "", duration, cpu_time)
        else:
            error = json.loads(rest)
            outcome = Outcome(False, b"null", error["type"], error["message"], error["traceback"], duration, cpu_time)
        self._listener.finished(slot, outcome)
        if not self._running:
            self._drained.set()

    def _overheard(self, lines: bytes) -> None:
        alone = next(iter(self._running)) if len(self._running) == 1 else None
        self._listener.logged(alone, lines)

    # The end

    def _hung_up(self) -> None:
        if self._guarded.gone:
            self._settle()
        else:
            self._loop.call_later(HANGING_UP.total_seconds(), self.kill, "The function closed the runtime's connection")

    def _ended(self) -> None:
        if self._guarded.guard_failed:
            self._guarded.kill_without_guard(self._pid)
        if self._frames.closed:
            self._settle()
        else:  # what it sent before it died is still to be read
            self._loop.call_later(HANGING_UP.total_seconds(), self._frames.abort)

    def _settle(self) -> None:
        reason = self._kill_reason or self._guarded.reason()
        self._gone.set()
        if not self._ready.done():
            self._ready.set_exception(LoadFailed(reason))
        elif self._loaded and (self._running or not self._stopping):
            self._running.clear()
            self._listener.lost(reason)
        self._drained.set()


def settings(spec: ModuleSpec) -> bytes:
    """The body of the INIT frame; what came as JSON goes into it as it is."""
    own = {
        "folder": str(spec.folder.resolve()),
        "entryPoint": spec.entry_point,
        "className": spec.class_name,
        "concurrency": spec.concurrency,
    }
    given = b',"initParams":%b,"functions":%b,"service":%b}' % (spec.init_params, spec.functions, spec.service)
    return json.dumps(own).encode()[:-1] + given


class _Frames(asyncio.Protocol):
    """The channel: cuts what comes into frames."""

    def __init__(self, received: Callable[[int, int, bytes], None], hung_up: Callable[[], None]) -> None:
        self._on_frame = received
        self._on_close = hung_up
        self._chunks: list[bytes] = []
        self._missing = 0  # bytes without which it is not worth looking again
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._chunks:
            self._chunks.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
        at, end = 0, len(data)
        while end - at >= child.HEAD.size:
            kind, slot, size = child.HEAD.unpack_from(data, at)
            start = at + child.HEAD.size
            if start + size > end:
                self._missing = start + size - end
                break
            at = start + size
            self._on_frame(kind, slot, data[start:at])
        else:
            self._missing = child.HEAD.size - (end - at)
        if at < end:
            self._chunks.append(data[at:])

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._on_close()
