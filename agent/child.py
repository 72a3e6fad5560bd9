"""The process that runs the functions of one service: the only file of ours beside a user's code.

It needs nothing but the standard library, is started by its path and takes its own folder off the import path, so that
a user's `agent.py` or `schemas.py` is theirs. It forks at once: the parent stays as the *guard*, which runs no user
code and outlives the agent just long enough to leave nothing behind; the fork loads the module once and then runs calls
until it is told to leave. Every call that comes in goes out as exactly one DONE frame, whatever the function does,
unless the process itself dies; the guard then tells how.

Read `main` first, then `Crew`, which decides which thread does what.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
    del sys.path[0]

import base64
import collections
import contextlib
import contextvars
import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import inspect
import io
import json
import logging
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import traceback
import types
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import asyncio

# ---------------------------------------------------------------------------------------------------------------------
# What the agent shares with us. A frame is a head (kind, slot, length) and a body nobody but its reader looks into.

HEAD = struct.Struct("!BII")
INIT, RUN, TERMINATE, EXIT = 1, 2, 3, 4  # agent to child
STARTED, READY, FAILED, PROGRESS, LOG, DONE = 11, 12, 13, 14, 15, 16  # child to agent
SERVICE = 0xFFFFFFFF  # the slot of what belongs to no execution

CALL = struct.Struct("!HIII")  # RUN: lengths of function name, execution, input and event; the rest is the causation
STOP = struct.Struct("!B")  # TERMINATE: hard or not; the rest is the reason
RESULT = struct.Struct("!BQQ")  # DONE: well or not, wall and CPU microseconds; the rest is the output or the error
DONE_HEAD = struct.Struct("!BIIBQQ")  # HEAD and RESULT in one

CHANNEL_CLOSED = 117  # our exit code when the function closed the channel under us

# How a written file carries its causation (base64url of compact JSON, padded: what the header
# `x-trigger-engine-causation` holds). Whoever watches the folder reads the extended attribute of the file, and where
# the file system refuses those, the sidecar file named after the content. Both are there before the file appears.
CAUSATION_ATTRIBUTE = "user.trigger_engine.causation"
CAUSATION_VARIABLE = "TRIGGER_ENGINE_CAUSATION"
TRACE_VARIABLE = "TRACEPARENT"
STATE_VARIABLE = "TRACESTATE"
ENV_PLACE = 10  # of `env` among the arguments of subprocess.Popen
SIDECAR_FOLDER = ".trigger-engine"
SIDECAR_NAME = "{sha256}.causation"

OUTPUT_LIMIT = 4 * 1024 * 1024
DEPTH_LIMIT = 200  # orjson refuses to write what is nested deeper than 254
TRACEBACK_LIMIT = 32_000
LINE_LIMIT = 64_000
LOG_BURST, LOG_RATE, LOG_UNSENT = 4_000_000, 1_000_000, 1_000_000  # characters; a second; not yet sent
FLUSH_AT = 64_000
BACKLOG_LIMIT = 8_000_000  # bytes the agent has not read before progress reports wait
TOGETHER = 0.001  # what is finished within this time travels together
LOGS_EVERY = 0.1

WAKE_MAIN = signal.SIGRTMIN + 3
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

JSON = Any


class Terminated(BaseException):
    """Raised by us inside a user's function: only its own `except BaseException` can hold it."""


class Refused(Exception):
    """An outcome of our own making, told to the user as `kind: message` without a traceback."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


# ---------------------------------------------------------------------------------------------------------------------
# The guard


def main() -> None:
    channel, guard = int(sys.argv[1]), int(sys.argv[2])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(channel)
        stand_guard(pid, socket.socket(fileno=guard), wake)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for fd in (guard, wake, woken):
        os.close(fd)
    os.setpgid(0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    serve(Channel(channel))


def stand_guard(child: int, agent: socket.socket, wake: int) -> NoReturn:
    """Wait for the end of the child or of the agent, then kill every descendant and tell how the child ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    poll = select.poll()
    poll.register(agent, select.POLLIN)
    poll.register(wake, select.POLLIN)
    status = None
    while status is None and all(fd == wake for fd, _ in poll.poll()):
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        status = reap(child)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    last = sweep(child)
    with contextlib.suppress(OSError):
        agent.sendall(b"%d" % (last if status is None else status))
    os._exit(0)


def reap(child: int) -> int | None:
    """Collect who has ended (orphans come to us, the subreaper); the wait status of the child if it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            status = ended if pid == child else status
    return status


def sweep(child: int) -> int:
    """Kill our children until there are none: those of a killed one become ours, whatever session they are in."""
    status, deadline = int(signal.SIGKILL), time.monotonic() + 5
    while time.monotonic() < deadline:
        for pid in children_of(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        ended = reap(child)
        status = status if ended is None else ended
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            break
        time.sleep(0.001)
    return status


def children_of(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as stat:
                if int(stat.read().rpartition(b")")[2].split()[1]) == parent:
                    found.append(int(entry))
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The channel


class Channel:
    """The socket to the agent. Frames are posted from any thread; whoever flushes sends for everybody.

    Only our own threads flush, and never inside a user's function: that may be hit by `Terminated` between any two
    instructions, and half a frame would end all conversation.
    """

    def __init__(self, fd: int) -> None:
        try:  # out of reach of a function that closes the low descriptors
            moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 900)
        except OSError:
            moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(fd)
        self.socket = socket.socket(fileno=moved)
        self.unsent: list[bytes] = []
        self.size = 0  # approximate: threads may lose an addition, a flush sets it right
        self.oldest = 0  # perf_counter_ns of the first unsent DONE
        self.sending = threading.Lock()

    def post(self, kind: int, slot: int, body: bytes) -> None:
        self.unsent.append(HEAD.pack(kind, slot, len(body)) + body)
        self.size += len(body)

    def flush(self) -> None:
        unsent = self.unsent
        # Read again after each release: whoever failed to get the lock meanwhile relies on its holder.
        while unsent and self.sending.acquire(False):
            try:
                count = len(unsent)
                together = b"".join(unsent[:count])
                del unsent[:count]
                self.socket.sendall(together)
                self.size = 0
            except OSError:
                os._exit(CHANNEL_CLOSED)
            finally:
                self.sending.release()

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """What has come, at least one frame; waits for the rest of the last one."""
        data, at = self._receive(1 << 16), 0
        while at < len(data):
            missing = HEAD.size - (len(data) - at)
            if missing > 0:
                data, at = data[at:] + self._exactly(missing), 0
            kind, slot, size = HEAD.unpack_from(data, at)
            at += HEAD.size
            body = data[at : at + size]
            at += size
            if len(body) < size:
                body += self._exactly(size - len(body))
            yield kind, slot, body

    def _receive(self, size: int) -> bytes:
        try:
            data = self.socket.recv(size)
        except OSError:
            os._exit(CHANNEL_CLOSED)
        if not data:  # the agent is gone; the guard sees to the rest
            os._exit(0)
        return data

    def _exactly(self, size: int) -> bytes:
        chunks = []
        while size:
            chunks.append(self._receive(min(size, 1 << 20)))
            size -= len(chunks[-1])
        return b"".join(chunks)


# ---------------------------------------------------------------------------------------------------------------------
# JSON and errors


def plain(value: Any) -> JSON:
    """What numpy, datetime, decimal and sets are in JSON, known by what they can do: none of them is imported here."""
    if getattr(value, "nbytes", 0) > OUTPUT_LIMIT:
        raise too_large("%.1fMB" % (value.nbytes / 1024 / 1024))
    if isinstance(value, (set, frozenset)):
        return list(value)
    for conversion in ("tolist", "isoformat"):
        if hasattr(value, conversion) and not isinstance(value, type):
            return getattr(value, conversion)()
    if hasattr(value, "as_integer_ratio") and not isinstance(value, type):
        number = float(value)
        return int(number) if number.is_integer() else number
    raise TypeError


to_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain).encode
from_text = json.JSONDecoder().decode

NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
SURROGATE = re.compile("[\ud800-\udfff]")
NOT_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[^][{}"]+')
EMPTY_BRACKETS = re.compile(r"\[\]|\{\}")


def to_json(value: JSON) -> bytes:
    """Without what PostgreSQL's JSONB refuses: NUL and lone surrogates become U+FFFD."""
    text = to_text(value)
    if "\\u0000" in text:
        text = NUL.sub("\\1\ufffd", text)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return SURROGATE.sub("\ufffd", text).encode()


def output_json(output: Any) -> bytes:
    """The output as JSON, or `Refused` with the place in it that cannot be."""
    try:
        body = to_json(output)
    except Refused:
        raise
    except Exception as error:
        raise Refused(
            "OutputNotJson", complaint(output) or f"output cannot be turned into JSON: {said(error)}"
        ) from None
    if len(body) > OUTPUT_LIMIT:
        raise too_large("%.1fMB" % (len(body) / 1024 / 1024))
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT and depth_exceeds(body.decode()):
        raise Refused("OutputNotJson", f"output is nested deeper than {DEPTH_LIMIT} levels")
    return body


def too_large(size: str) -> Refused:
    return Refused(
        "OutputTooLarge",
        "The function execution was successful, but the output couldn't be saved because it was larger than the "
        f"maximum size allowed of 4.0MB (it has {size})",
    )


def depth_exceeds(text: str) -> bool:
    brackets = NOT_BRACKETS.sub("", text)
    for _ in range(DEPTH_LIMIT):
        brackets = EMPTY_BRACKETS.sub("", brackets)
    return bool(brackets)


def complaint(output: Any) -> str | None:
    """What JSON cannot carry, and where it stands. Walks without recursion: the output may be endless."""
    waiting: list[tuple[str, Any, tuple[int, ...]]] = [("output", output, ())]
    while waiting:
        path, value, above = waiting.pop()
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            return f"{path} is {float(value)!r}, which JSON cannot carry"
        if value is None or isinstance(value, (str, int, float)):
            continue
        if id(value) in above:
            return f"{path} contains itself (circular reference)"
        if len(above) >= DEPTH_LIMIT:
            return f"output is nested deeper than {DEPTH_LIMIT} levels"
        inside = (*above, id(value))
        if isinstance(value, dict):
            for key in value:
                if not (key is None or isinstance(key, (str, int, float))):
                    return f"{path} has the key {shown(key)} of type {named(key)}; JSON has only text for keys"
            waiting += [(f"{path}[{key!r}]", value[key], inside) for key in reversed(list(value))]
        elif isinstance(value, (list, tuple)):
            waiting += [(f"{path}[{i}]", value[i], inside) for i in reversed(range(len(value)))]
        else:
            try:
                waiting.append((path, plain(value), inside))
            except Exception:
                return f"{path} is of type {named(value)}, which cannot be turned into JSON"
    return None


def named(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def shown(value: Any) -> str:
    try:
        return repr(value)[:200]
    except Exception as error:
        return f"<repr() failed with {type(error).__name__}>"


def said(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as failure:
        return f"<str() of the exception failed with {type(failure).__name__}>"
    return " ".join(text.split())[:4000] or type(error).__name__


def error_json(error: BaseException, reason: str | None = None) -> bytes:
    """Only text leaves the process: an exception's class need not exist, or unpickle, anywhere else."""
    where = ""
    if isinstance(error, Refused):
        kind, message = error.kind, said(error)
    elif isinstance(error, Terminated):
        kind, message, where = "Terminated", reason or "", user_traceback(error)
    elif isinstance(error, SystemExit):
        kind, where = "SystemExit", user_traceback(error)
        message = f"The function called sys.exit({shown(error.code)}); the process of the service goes on"
    else:
        kind, message, where = type(error).__qualname__, said(error), user_traceback(error)
        if type(error).__module__ not in ("builtins", "__main__"):
            kind = f"{type(error).__module__}.{kind}"
    return to_json({"type": kind, "message": message, "traceback": where})


def user_traceback(error: BaseException) -> str:
    """The traceback without our own frames and without the folder the module lies in."""
    try:
        told = traceback.TracebackException(type(error), error, error.__traceback__)
        without_runtime(told, os.path.join(Module.folder, ""))
        text = "".join(told.format())
    except BaseException as failure:
        return f"<the traceback could not be made: {type(failure).__name__}>"
    return (
        text
        if len(text) <= TRACEBACK_LIMIT
        else f"{text[: TRACEBACK_LIMIT // 2]}\n...\n{text[-TRACEBACK_LIMIT // 2 :]}"
    )


def without_runtime(told: traceback.TracebackException, folder: str) -> None:
    hidden = (__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
    told.stack[:] = [frame for frame in told.stack if frame.filename not in hidden]
    for frame in told.stack:
        if frame.filename.startswith(folder):
            frame.filename = frame.filename[len(folder) :]
    if (getattr(told, "filename", None) or "").startswith(folder):  # of a SyntaxError
        told.filename = told.filename[len(folder) :]
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None:
            without_runtime(other, folder)


# ---------------------------------------------------------------------------------------------------------------------
# Logs: what is printed and logged belongs to the execution whose context it happens in


class Log:
    """The unsent lines of one execution, or of the service. Bounded, and says aloud what it dropped."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lines: list[tuple[float, str, str]] = []
        self.begun: dict[str, str] = {}  # by level: the line that has no end yet
        self.dropped = 0
        self.over = False
        self.size = 0
        self.allowance = float(LOG_BURST)
        self.since = time.monotonic()

    def write(self, level: str, text: str) -> None:
        """Take what was written to a stream: lines, and perhaps the beginning of another."""
        with self.lock:
            *lines, rest = (self.begun.pop(level, "") + text).split("\n")
            if rest:
                self.begun[level] = rest[: LINE_LIMIT + 1]
            for line in lines:
                self._add(level, line.rstrip("\r"))

    def add(self, level: str, message: str) -> None:
        with self.lock:
            self._add(level, message)

    def _add(self, level: str, message: str) -> None:
        if len(message) > LINE_LIMIT:
            message = message[:LINE_LIMIT] + " [runtime] the rest of this line was dropped"
        cost, now = len(message) + 60, time.monotonic()
        self.allowance = min(float(LOG_BURST), self.allowance + (now - self.since) * LOG_RATE)
        self.since = now
        if cost > self.allowance or self.size + cost > LOG_UNSENT:
            self.dropped += 1
            return
        self.allowance -= cost
        self.size += cost
        self.lines.append((time.time(), level, message))

    def take(self, *, last: bool = False) -> bytes | None:
        """The lines as JSON, oldest first; with the line that was begun if nothing more will come."""
        with self.lock:
            return self._take(last)

    def post(self, channel: Channel, slot: int, *, last: bool = False) -> None:
        """Under the lock: what the sender takes must not come after the outcome that another thread posts."""
        with self.lock:
            lines = None if self.over else self._take(last)
            if lines is not None:
                channel.post(LOG, slot, lines)
            self.over = last

    def _take(self, last: bool) -> bytes | None:
        if last:
            for level, rest in self.begun.items():
                self._add(level, rest)
            self.begun.clear()
        if self.dropped:
            self.lines.append((time.time(), "WARNING", f"[runtime] {self.dropped} log lines dropped"))
        lines, self.lines, self.size, self.dropped = self.lines, [], 0, 0
        if not lines:
            return None
        return to_json([{"timestamp": stamp(at), "level": level, "message": text} for at, level, text in lines])


def stamp(at: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at % 1 * 1e6):06d}Z"


class Stream(io.TextIOBase):
    """sys.stdout and sys.stderr of the user's code."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, crew: Crew, level: str, original: Any) -> None:
        self.crew, self.level, self.original = crew, level, original
        self.buffer = original.buffer  # bytes written here come by the pipe, as what C code prints does

    def write(self, text: str) -> int:
        if self.crew.is_copy:
            return int(self.original.write(text))
        self.crew.log().write(self.level, text)
        return len(text)

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: Any) -> None:
        """Asked for by programs that want UTF-8; it is."""

    def fileno(self) -> int:
        return int(self.original.fileno())


class LogHandler(logging.Handler):
    """The root logger's handler."""

    LEVELS = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"), (0, "DEBUG"))

    def __init__(self, crew: Crew) -> None:
        super().__init__()
        self.crew = crew

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:
            self.handleError(record)
            return
        level = next(name for number, name in self.LEVELS if record.levelno >= number)
        if self.crew.is_copy:
            sys.stderr.write(message + "\n")
        else:
            self.crew.log().add(level, message)


def capture_output(crew: Crew) -> None:
    sys.stdout, sys.stderr = Stream(crew, "INFO", sys.stdout), Stream(crew, "ERROR", sys.stderr)
    handler, root = LogHandler(crew), logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    configure = logging.basicConfig

    def basic_config(**settings: Any) -> None:
        if handler not in root.handlers:
            configure(**settings)
        elif settings.get("level") is not None:
            root.setLevel(settings["level"])

    logging.basicConfig = basic_config

    start = threading.Thread.start

    def start_in_context(thread: threading.Thread) -> None:
        context, run = contextvars.copy_context(), thread.run
        thread.run = lambda: context.run(run)  # type: ignore[method-assign]
        with crew.stopping:  # until it runs, a new thread has its parent's number: it could get the parent's Terminated
            start(thread)

    threading.Thread.start = start_in_context  # type: ignore[assignment, method-assign]

    submit = ThreadPoolExecutor.submit

    def submit_in_context(pool: ThreadPoolExecutor, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return submit(pool, contextvars.copy_context().run, function, *args, **kwargs)

    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[assignment, method-assign]


def hand_on_causation(crew: Crew) -> None:
    """A program that a function starts with our environment, and not with one of its own, finds the chain there, and
    its place in the trace."""
    start = subprocess.Popen.__init__

    def start_with_causation(program: Any, *args: Any, **kwargs: Any) -> None:
        call = crew.current.get()
        if call is not None and len(args) <= ENV_PLACE and kwargs.get("env") is None:
            carried = {
                CAUSATION_VARIABLE: call.causation_header,
                TRACE_VARIABLE: call.trace.get("traceparent"),
                STATE_VARIABLE: call.trace.get("tracestate"),
            }
            kwargs["env"] = {**os.environ, **{name: value for name, value in carried.items() if value}}
        start(program, *args, **kwargs)

    subprocess.Popen.__init__ = start_with_causation  # type: ignore[assignment, method-assign]


# ---------------------------------------------------------------------------------------------------------------------
# What a function sees: its inputs, `progress` and `context`


class Document(dict):  # type: ignore[type-arg]  # Python 3.8 cannot say which
    """A JSON object whose members are attributes too, under their own names and in snake case."""

    def __getattr__(self, name: str) -> Any:
        first, *others = name.split("_")
        for key in (name, first + "".join(word.title() for word in others)):
            if key in self:
                return Document(self[key]) if type(self[key]) is dict else self[key]
        raise AttributeError("it has no {!r}; it has: {}".format(name, ", ".join(self)))


class Event(Document):
    """The event, also under the names that Dataloop's functions know; None for those it does not have."""

    KNOWN = ("source", "resource_id", "user_id", "dataset_id", "project_id", "item_status_event")

    @property
    def body(self) -> Any:
        return self.get("entity")

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name not in self.KNOWN:
                raise
        entity = self.get("entity")
        return entity.get("id") if name == "resource_id" and isinstance(entity, dict) else None


class Progress:
    """Reports of one execution. One that changes only the percentage counts from five percent on."""

    def __init__(self, slot: int, channel: Channel, wake: Callable[[], None]) -> None:
        self._slot, self._channel, self._wake = slot, channel, wake
        self._percent: float | None = None
        self._status: str | None = None
        self._lock = threading.Lock()
        self._over = False

    def update(
        self,
        status: str | None = None,
        progress: float | None = None,
        message: str | None = None,
        output: JSON = None,
        duration: float | None = None,
        action: str | None = None,
    ) -> None:
        last = self._percent
        if progress is not None:
            progress = max(min(progress, 100), last or 0)
        told = message is not None or output is not None or action is not None or status not in (None, self._status)
        moved = progress is not None and (last is None or progress >= last + 5 or (progress == 100 and last < 100))
        if not told and not moved:
            return
        self._percent = progress if progress is not None else last
        self._status = status if status is not None else self._status
        report = {
            "status": status,
            "percentComplete": self._percent,
            "message": message,
            "duration": duration,
            "action": action,
        }
        body = to_json({name: value for name, value in report.items() if value is not None})
        if output is not None:
            body = body[:-1] + (b"," if len(body) > 2 else b"") + b'"output":' + output_json(output) + b"}"
        while self._channel.size > BACKLOG_LIMIT:  # the agent reads slower than we report
            time.sleep(0.01)
        with self._lock:
            if not self._over:
                self._channel.post(PROGRESS, self._slot, body)
        self._wake()

    def close(self) -> None:
        """Nothing is reported after the outcome, also by a thread that the function left running."""
        with self._lock:
            self._over = True


class Context:
    """What a function may know about its execution. Everything is decoded when it is first asked for."""

    def __init__(self, call: Call, crew: Crew) -> None:
        self._call, self._crew = call, crew
        self.logger = logging.getLogger("service")

    @functools.cached_property
    def execution(self) -> Document:
        execution = Document(from_text(self._call.execution.decode()) or {})
        execution.setdefault("trigger_id", execution.get("triggerId"))
        return execution

    @property
    def execution_id(self) -> str | None:
        return self.execution.get("id")

    @property
    def trigger_id(self) -> str | None:
        return self.execution.get("triggerId")

    @property
    def event(self) -> Event | None:
        return self._call.event()

    @property
    def service(self) -> Document:
        return self._crew.service

    @property
    def project(self) -> Document:
        return Document(self.service.get("project") or {"id": self.execution.get("projectId")})

    @property
    def progress(self) -> Progress:
        return self._crew.progress_of(self._call)

    @property
    def causation(self) -> Document | None:
        """The chain of executions and triggers that led to this one."""
        causation = from_text(self._call.causation.decode())
        return None if causation is None else Document(causation)

    @property
    def causation_header(self) -> str:
        """The value of the header `x-trigger-engine-causation` for requests that change an entity; may be empty."""
        return self._call.causation_header

    @property
    def traceparent(self) -> str | None:
        """Where the event stands in its publisher's trace, as W3C writes it."""
        return self._call.trace.get("traceparent")

    @property
    def tracestate(self) -> str | None:
        """What the systems of that trace say to themselves."""
        return self._call.trace.get("tracestate")

    @property
    def headers(self) -> dict[str, str]:
        """For requests that change something: our own header, W3C baggage, traceparent and tracestate, and CloudEvents'
        for other writers."""
        token = self.causation_header
        trace = self._call.trace
        if not token:
            return dict(trace)
        return {
            **trace,
            "x-trigger-engine-causation": token,
            "baggage": "trigger-engine-causation=" + token,
            "ce-correlationid": urllib.parse.quote(self._root),
            "ce-causationid": token,
        }

    @property
    def _root(self) -> str:
        """What the chain began with: an event, or an execution that a person or the clock began."""
        first = self.causation["chain"][0]  # type: ignore[index]
        return str(first["event"] or first["execution"])

    @property
    def bot(self) -> str | None:
        """Who this service's writes are by: what belongs into the `actor` of the events that they cause."""
        return self.service.get("botUserName")

    def kill_event(self) -> None:
        """Raise InterruptedError if this execution should end."""
        if self._call.reason is not None:
            raise InterruptedError(self._call.reason)

    def save(self, path: str | os.PathLike[str], data: bytes | str) -> None:
        """Write a file at once and with its causation: a watcher of the folder sees all of it, and from where it is."""
        with self.open_output(path, "w" if isinstance(data, str) else "wb") as file:
            file.write(data)

    @contextlib.contextmanager
    def open_output(self, path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
        """A file to write that appears under its name, with its causation, when the block ends well."""
        if mode not in ("w", "wb"):
            raise ValueError(f"mode is {mode!r}; it can be 'w' or 'wb'")
        folder, name = os.path.split(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        hidden = os.path.join(folder, f".{name[:200]}.{os.urandom(8).hex()}")
        try:
            with open(hidden, mode, encoding="utf-8" if mode == "w" else None) as file:
                yield file
            if self.causation_header:
                attach_causation(hidden, folder, self.causation_header.encode())
            os.replace(hidden, os.path.join(folder, name))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hidden)
            raise


def attach_causation(path: str, folder: str, causation: bytes) -> None:
    try:
        os.setxattr(path, CAUSATION_ATTRIBUTE, causation)
    except OSError:  # not supported, not permitted, or no room for it
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        os.makedirs(os.path.join(folder, SIDECAR_FOLDER), exist_ok=True)
        sidecar = os.path.join(folder, SIDECAR_FOLDER, SIDECAR_NAME.format(sha256=digest.hexdigest()))
        hidden = f"{sidecar}.{os.urandom(8).hex()}"
        with open(hidden, "wb") as file:
            file.write(causation)
        os.replace(hidden, sidecar)


# ---------------------------------------------------------------------------------------------------------------------
# The module


class Call:
    """One invocation: its parts as they came, and what has happened to it."""

    reason: str | None = None  # it should end, and why
    hard = False  # ... and Terminated was sent after it
    thread = 0  # the thread inside the user's function, for as long as it is inside
    cancel: Callable[[], object] | None = None  # how to end it when it runs on the event loop
    over = False
    log: Log | None = None
    progress: Progress | None = None
    decoded_event: Event | None = None
    loop_time = 0  # CPU nanoseconds on the event loop

    def __init__(self, slot: int, body: bytes) -> None:
        name, execution, given, event = CALL.unpack_from(body)
        self.slot = slot
        self.function = body[CALL.size : (at := CALL.size + name)]
        self.execution = body[at : (at := at + execution)]
        self.input = body[at : (at := at + given)]
        self.event_json = body[at : (at := at + event)]
        self.causation = body[at:]

    @property
    def causation_header(self) -> str:
        return "" if self.causation == b"null" else base64.urlsafe_b64encode(self.causation).decode()

    @functools.cached_property
    def trace(self) -> dict[str, str]:
        """As W3C's headers: what of them there is."""
        execution = from_text(self.execution.decode()) or {}
        return {name: execution[name] for name in ("traceparent", "tracestate") if name in execution}

    def event(self) -> Event | None:
        if self.event_json != b"null":
            self.decoded_event, self.event_json = Event(from_text(self.event_json.decode())), b"null"
        return self.decoded_event


class Function:
    """How one function of the module wants to be called."""

    def __init__(self, name: str, target: Callable[..., Any], declared: dict[str, str]) -> None:
        self.name, self.target = name, target
        try:
            parameters = inspect.signature(target).parameters
        except ValueError:  # C code without a signature: what is declared is all we know
            parameters = types.MappingProxyType({})
        taken = {
            each.name: each.default is each.empty
            for each in parameters.values()
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        }
        self.takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        self.wants_progress, self.wants_context = "progress" in taken, "context" in taken
        injected = {name for name in ("progress", "context", "event") if name in taken}
        self.event_required = taken.get("event")
        #: name, declared type, required
        self.inputs = tuple(
            (name, declared.get(name, ""), taken.get(name, False))
            for name in {**dict.fromkeys(declared), **dict.fromkeys(taken)}
            if name not in injected
        )

    def arguments(self, call: Call, crew: Crew) -> dict[str, Any]:
        given = from_text(call.input.decode()) or {} if call.input not in (b"{}", b"null") else {}
        if not isinstance(given, dict):
            raise TypeError(f"the input of {self.name}() is {shown(given)}; it must be an object of named inputs")
        arguments = dict(given) if self.takes_all else {}
        absent = []
        for name, declared, required in self.inputs:
            if name in given:
                arguments[name] = given[name]
            else:
                absent.append((name, declared, required))
        if absent or self.event_required is not None:
            self._from_event(call, given, absent, arguments)
        if self.wants_progress:
            arguments["progress"] = crew.progress_of(call)
        if self.wants_context:
            arguments["context"] = Context(call, crew)
        return arguments

    def _from_event(
        self, call: Call, given: dict[str, Any], absent: list[tuple[str, str, bool]], arguments: dict[str, Any]
    ) -> None:
        event = call.event()
        if self.event_required is not None:
            arguments["event"] = given.get("event", event)
        resource = (event.get("resource") if event else None) or ""
        names = ("Item", "item") if resource == "ItemStatus" else (resource, resource[:1].lower() + resource[1:])
        missing = []
        for name, declared, required in absent:
            if event is not None and resource and (declared == names[0] or name == names[1]):
                arguments[name] = event.get("entity")
            elif required:
                missing.append(name)
        if missing:
            raise TypeError(
                "{}() is missing the required input{} {}; given: {}".format(
                    self.name, "s" * (len(missing) > 1), ", ".join(map(repr, missing)), ", ".join(given) or "nothing"
                )
            )


class Module:
    """The user's module, loaded once: its functions are those of its class if it has that, else its own."""

    folder = ""  # one module a process: known before it is loaded, and to all tracebacks

    def __init__(self, settings: dict[str, Any], crew: Crew) -> None:
        declared = settings["functions"] or []
        self.declared = {
            each["name"]: {given["name"]: given.get("type") or "" for given in each.get("input") or []}
            for each in declared
        }
        entry = settings["entryPoint"]
        if not os.path.isfile(entry):
            raise Refused("ModuleNotFound", f"there is no file {entry!r} in the folder of the module")
        name = os.path.splitext(os.path.basename(entry))[0]
        if name in sys.modules:  # `types.py` must not hide the one everybody imports
            name = "service_" + name
        spec = importlib.util.spec_from_file_location(name, os.path.abspath(entry))
        if spec is None or spec.loader is None:
            raise Refused("ModuleNotFound", f"{entry!r} is not a Python file")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        sys.argv[:] = [entry]
        spec.loader.exec_module(module)
        self.holder: Any = module
        runner = getattr(module, settings["className"] or "", None)
        if runner is not None:
            self.holder = runner(**(settings["initParams"] or {}))
            with contextlib.suppress(AttributeError):
                self.holder.kill_event = crew.kill_event

    def function(self, name: str) -> Function:
        target = None if name.startswith("_") else getattr(self.holder, name, None)
        if not callable(target):
            raise Refused(
                "FunctionNotFound",
                "there is no function {!r} in this module; it has: {}".format(name, ", ".join(self.names()) or "none"),
            )
        return Function(name, target, self.declared.get(name, {}))

    def names(self) -> list[str]:
        of_module = isinstance(self.holder, types.ModuleType)
        holder = self.holder if of_module else type(self.holder)  # of an instance, properties would be run
        return [
            name
            for name, value in inspect.getmembers(holder, inspect.isroutine)
            if not name.startswith("_") and not (of_module and value.__module__ != holder.__name__)
        ]


# ---------------------------------------------------------------------------------------------------------------------
# Running


class Crew:
    """The threads, and the calls they share.

    With a concurrency of N there are N + 1 threads, of which one reads the channel and at most N run functions.
    Whoever reads a call runs it, and the next thread takes over the reading: a lone call needs no hand-over between
    threads, and of many short calls that came together one thread runs all while the others sleep. With a concurrency
    of one the main thread runs, where a signal can interrupt even a sleep, and another thread reads.
    """

    module: Module
    service: Document

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.calls: dict[int, Call] = {}  # every call that has no outcome yet, by slot
        self.queue: collections.deque[Call] = collections.deque()
        self.functions: dict[bytes, Function] = {}
        self.current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)
        self.service_log = Log()
        self.loop = Loop()
        self.limit = self.busy = 0
        self.turns = threading.Lock()  # guards busy, and what is decided from it
        self.reading = threading.Lock()
        self.stopping = threading.Lock()  # guards Call.thread while Terminated is being sent there
        self.main_turn = threading.Semaphore(0)
        self.leaving = False
        self.is_copy = False  # a function called os.fork(), and this is the copy
        self.nothing_late = threading.Lock()  # held while the sender sleeps: see wake_sender
        self.log_waits = False
        self.nothing_late.acquire()
        os.register_at_fork(after_in_child=self._become_copy)

    # Reading

    def serve(self, limit: int) -> None:
        """Run calls until the agent tells us to leave."""
        self.limit = limit
        self.start_thread(self._send_late, "runtime-sender")
        if limit == 1:
            self.start_thread(self._read_for_main, "runtime-reader")
        else:
            for number in range(limit + 1):
                self.start_thread(self._read_and_run, f"runner-{number}")
        while True:
            self.main_turn.acquire()
            if self.leaving:
                return
            self.run_queue()

    @staticmethod
    def start_thread(work: Callable[[], None], name: str) -> None:
        threading.Thread(target=work, name=name, daemon=True).start()

    def _read_and_run(self) -> None:
        while True:
            with self.reading:
                while not self._take_turn():
                    self._read()
            self.run_queue()

    def _read_for_main(self) -> None:
        while True:
            self._read()
            if self._take_turn():
                self.main_turn.release()

    def _take_turn(self) -> bool:
        with self.turns:
            if self.queue and self.busy < self.limit:
                self.busy += 1
                return True
            return False

    def _read(self) -> None:
        self.channel.flush()
        for kind, slot, body in self.channel.frames():
            if kind == RUN:
                call = self.calls[slot] = Call(slot, body)
                self.queue.append(call)
            elif kind == TERMINATE:
                self.terminate(self.calls.get(slot), bool(body[0]), body[STOP.size :].decode())
            elif kind == EXIT:
                self.leaving = True
                self.main_turn.release()

    # Running

    def run_queue(self) -> None:
        """Run calls for as long as there are any, then give the turn back."""
        channel, queue = self.channel, self.queue
        while True:
            try:
                call = queue.popleft()
            except IndexError:
                if self.busy == 1:  # before the next call can come
                    self._return_home()
                channel.flush()
                with self.turns:
                    if not queue:  # under the lock of whoever asks for a turn, so that no call stays behind
                        self.busy -= 1
                        return
                continue
            self.run(call)
            if queue:
                if channel.size > FLUSH_AT or time.perf_counter_ns() - channel.oldest > TOGETHER * 1e9:
                    channel.flush()
                else:  # the next call may be a long one
                    self.wake_sender()

    def run(self, call: Call) -> None:
        self.current.set(call)
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        result, error = self._invoke(call)
        if self.is_copy:
            os._exit(0 if error is None else 1)
        if error is None and type(result) in AWAITED:
            result, error = self.loop.finish(call, result)
        if error is None:
            try:
                output = b"null" if result is None else output_json(result)
            except BaseException as failure:
                error = failure
        if error is not None:
            output = error_json(error, call.reason)
        now = time.perf_counter_ns()
        self._finish(call, error is None, output, now - wall, time.thread_time_ns() - cpu + call.loop_time, now)

    def _invoke(self, call: Call) -> tuple[Any, BaseException | None]:
        """The only place where Terminated may arrive, and none is left to arrive when it returns."""
        result, error = None, None
        try:
            try:
                function = self.functions.get(call.function) or self._find(call.function)
                arguments = function.arguments(call, self)
                call.thread = threading.get_ident()
                if call.reason is not None:
                    raise Terminated
                result = function.target(**arguments)
                if type(result) is types.GeneratorType:
                    result = list(result)
            except BaseException as failure:
                error = failure
            call.thread = 0
            if call.hard:  # see terminate(): what was sent and has not arrived is taken back
                with self.stopping:
                    send_terminated(threading.get_ident(), None)
        except BaseException as late:  # it arrived between the end of the function and here
            call.thread, error = 0, late
        return result, error

    def _finish(self, call: Call, well: bool, output: bytes, wall: int, cpu: int, now: int) -> None:
        call.over = True
        del self.calls[call.slot]
        channel = self.channel
        if call.log is not None:
            call.log.post(channel, call.slot, last=True)
        if call.progress is not None:
            call.progress.close()
        if not channel.unsent:
            channel.oldest = now
        channel.unsent.append(
            DONE_HEAD.pack(DONE, call.slot, RESULT.size + len(output), well, wall // 1000, cpu // 1000) + output
        )
        channel.size += len(output)

    def _find(self, name: bytes) -> Function:
        function = self.functions[name] = self.module.function(name.decode())
        return function

    def _return_home(self) -> None:
        with contextlib.suppress(OSError):
            os.chdir(Module.folder)

    # Ending

    def terminate(self, call: Call | None, hard: bool, reason: str) -> None:
        """Soft: the function is asked. Hard: Terminated is raised in it, once, and never after it has ended.

        `hard` is set before `thread` is read; `run` clears `thread` before it reads `hard`. So either we see that the
        function has ended, or `run` sees that we sent something and takes it back.
        """
        if call is None or call.hard:
            return
        call.reason = reason
        if not hard:
            return
        with self.stopping:
            call.hard = True
            thread = call.thread
            if call.cancel is not None:
                call.cancel()
            elif thread:
                send_terminated(thread, Terminated)
                if thread == threading.main_thread().ident:
                    signal.pthread_kill(thread, WAKE_MAIN)

    def kill_event(self) -> None:
        """What `self.kill_event()` of a service's class is: raise InterruptedError if this execution should end."""
        call = self.current.get()
        if call is not None and call.reason is not None:
            raise InterruptedError(call.reason)

    # Logs and progress

    def log(self) -> Log:
        """Where a line goes that is written now."""
        if not self.log_waits:
            self.log_waits = True
            self.wake_sender()
        call = self.current.get()
        if call is None or call.over:
            return self.service_log
        if call.log is None:
            call.log = Log()
        return call.log

    def progress_of(self, call: Call) -> Progress:
        if call.progress is None:
            call.progress = Progress(call.slot, self.channel, self.wake_sender)
        return call.progress

    def post_logs(self) -> None:
        if self.channel.size < LOG_UNSENT:  # else the lines wait, and their own bound drops what is too much
            self.service_log.post(self.channel, SERVICE)
            for call in list(self.calls.values()):
                if call.log is not None:
                    call.log.post(self.channel, call.slot)

    def wake_sender(self) -> None:
        """Called inside users' functions, so it must be one step: an Event could be left set with nobody told."""
        if self.nothing_late.locked():
            with contextlib.suppress(RuntimeError):  # somebody else woke it meanwhile
                self.nothing_late.release()

    def _send_late(self) -> None:
        """Send what nobody else does soon: outcomes before a long call, reports, and the lines of running calls."""
        due: float | None = None
        while True:
            # Not for ever: a function may have been terminated just before it woke us.
            self.nothing_late.acquire(timeout=1 if due is None else max(0.0, due - time.monotonic()))
            time.sleep(TOGETHER)
            if due is None and self.log_waits:
                due = time.monotonic() + LOGS_EVERY
            elif due is not None and time.monotonic() >= due:
                self.log_waits, due = False, None
                self.post_logs()
            self.channel.flush()

    def _become_copy(self) -> None:
        """After os.fork() in a function: the copy must not speak on our channel."""
        if not self.is_copy:
            self.is_copy = True
            os.close(self.channel.socket.detach())
        self.stopping = threading.Lock()  # whoever held it is not in the copy
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


AWAITED = (types.CoroutineType, types.AsyncGeneratorType)

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc


def send_terminated(thread: int, error: type[BaseException] | None) -> None:
    _set_async_exc(ctypes.c_ulong(thread), ctypes.py_object(error) if error is not None else None)


class Loop:
    """The event loop of all `async def` functions, in a thread of its own from the first call on.

    The thread that runs a call waits here for its real end: a task that was cancelled may take its time.
    """

    def __init__(self) -> None:
        self.starting = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None

    def finish(self, call: Call, awaited: Any) -> tuple[Any, BaseException | None]:
        loop = self._started()
        ended = threading.Semaphore(0)
        outcome: list[Any] = [None, None]
        tasks: list[asyncio.Task[None]] = []

        async def drive() -> None:
            cpu = time.thread_time_ns()
            try:
                if isinstance(awaited, types.AsyncGeneratorType):
                    outcome[0] = [each async for each in awaited]
                else:
                    outcome[0] = await awaited
            except BaseException as failure:  # SystemExit would end the loop
                outcome[1] = Terminated() if call.hard and type(failure).__name__ == "CancelledError" else failure
            call.loop_time = time.thread_time_ns() - cpu

        def over(task: asyncio.Task[None]) -> None:
            if task.cancelled():  # before its first step
                outcome[1] = Terminated()
                if isinstance(awaited, types.CoroutineType):
                    awaited.close()
            ended.release()

        def begin() -> None:
            tasks.append(loop.create_task(drive()))
            tasks[0].add_done_callback(over)

        def cancel() -> None:  # once: a second time would hit the function's own cleaning up
            if tasks:
                tasks.pop().cancel()

        loop.call_soon_threadsafe(begin)
        call.cancel = functools.partial(loop.call_soon_threadsafe, cancel)
        if call.hard:  # came before there was something to cancel
            call.cancel()
        ended.acquire()
        return outcome[0], outcome[1]

    def _started(self) -> asyncio.AbstractEventLoop:
        with self.starting:
            if self.loop is None:
                import asyncio  # 40 ms that a module without `async def` need not spend

                self.loop = asyncio.new_event_loop()
                Crew.start_thread(self.loop.run_forever, "runtime-loop")
            return self.loop


def serve(channel: Channel) -> None:
    channel.post(STARTED, SERVICE, b"%d" % os.getpid())
    channel.flush()
    ((_, _, body),) = channel.frames()
    settings = json.loads(body)
    Module.folder = settings["folder"]
    sys.path.insert(0, Module.folder)
    signal.signal(WAKE_MAIN, lambda *_: None)  # running it is what makes a pending Terminated arrive
    crew = Crew(channel)
    capture_output(crew)
    hand_on_causation(crew)
    crew.service = Document(settings["service"] or {})
    try:
        crew.module = Module(settings, crew)
    except BaseException as error:
        if isinstance(error, SystemExit):
            error = Refused("SystemExit", f"The module called sys.exit({shown(error.code)}) while it was loaded")
        crew.post_logs()
        channel.post(FAILED, SERVICE, error_json(error))
        channel.flush()
        os._exit(1)
    crew.post_logs()
    channel.post(READY, SERVICE, b"")
    channel.flush()
    crew.serve(settings["concurrency"])
    crew.post_logs()
    channel.flush()


if __name__ == "__main__":
    main()
