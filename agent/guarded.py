"""A child process under its guard, as the operating system sees it: started, overheard, killed, gone.

The guard (see `agent/child.py`) is our direct child and the parent of the process that runs the functions. We speak
with it by silence: when our end of its socket closes, because we want it or because we died, it kills every
descendant. Its one answer is the wait status of the process, and the end of its socket says that nothing is left.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent import child

KEPT, SHOWN = 32_000, 2_000
"""How many of the last characters on stderr are kept, and how many of them tell why a process is gone."""

AT_ONCE = 1 << 18
"""How many bytes of one pipe are read before others have their turn."""


@dataclass(slots=True)
class _Pipe:
    """What is written past `sys.stdout` and `sys.stderr`: by C code, subprocesses, an interpreter that crashes."""

    fd: int
    level: str
    log: child.Log = field(default_factory=child.Log)
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    tail: str = ""


class Guarded:
    """Start with `spawn`, end with `kill`; `on_end` is called once, when nothing of it is left."""

    def __init__(self, on_output: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._on_output = on_output
        self._on_end = on_end
        self._report = b""
        self.gone = False

    def spawn(self, python: str, folder: Path, environment: Mapping[str, str]) -> socket.socket:
        """Start the process; the answer is our end of its channel. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        channel, their_channel = socket.socketpair()
        self._guard, their_guard = socket.socketpair()
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        fds = (their_channel.fileno(), their_guard.fileno())
        try:
            self._process = subprocess.Popen(
                [python, "-u", "-X", "faulthandler", os.path.abspath(child.__file__), *map(str, fds)],
                stdin=subprocess.DEVNULL,
                stdout=their_out,
                stderr=their_err,
                pass_fds=fds,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,
            )
        except BaseException:
            channel.close()
            self._guard.close()
            os.close(out)
            os.close(err)
            raise
        finally:
            their_channel.close()
            their_guard.close()
            os.close(their_out)
            os.close(their_err)
        self._pipes = [_Pipe(out, "INFO"), _Pipe(err, "ERROR")]
        for pipe in self._pipes:
            os.set_blocking(pipe.fd, False)
            self._loop.add_reader(pipe.fd, self._overhear, pipe)
        self._guard.setblocking(False)
        self._loop.add_reader(self._guard, self._guard_spoke)
        return channel

    def overhear(self) -> None:
        """Hand over what was written until now."""
        for pipe in self._pipes:
            self._overhear(pipe, complete=True)

    def kill(self) -> None:
        """End all of it. `on_end` follows."""
        if not self.gone:
            try:
                self._guard.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the guard is gone too, and its end of the socket will say so

    def kill_without_guard(self, pid: int) -> None:
        """Do what is left to do when the guard was killed or stopped by somebody."""
        self._process.kill()
        if pid:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    @property
    def guard_failed(self) -> bool:
        return self.gone and not self._report

    def reason(self) -> str:
        """How the process ended, in one line, and its last words."""
        if self.guard_failed:
            return "The guard of the process was killed"
        how = described(os.waitstatus_to_exitcode(int(self._report)))
        words = last_words(self._pipes[1].tail, hidden=child.__file__)
        return f"{how}\n{words}" if words else how

    def _overhear(self, pipe: _Pipe, *, complete: bool = False) -> None:
        taken = 0
        while taken < AT_ONCE:
            try:
                data = os.read(pipe.fd, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                self._loop.remove_reader(pipe.fd)
                break
            taken += len(data)
            text = pipe.decoder.decode(data)
            pipe.tail = (pipe.tail + text)[-KEPT:]
            pipe.log.write(pipe.level, text)
        lines = pipe.log.take(last=complete)
        if lines is not None:
            self._on_output(lines)

    def _guard_spoke(self) -> None:
        try:
            data = self._guard.recv(64)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self._report += data
            return
        self._loop.remove_reader(self._guard)
        self._guard.close()
        self._process.wait()  # it closed the socket by exiting, so this does not wait
        self.overhear()
        for pipe in self._pipes:
            self._loop.remove_reader(pipe.fd)
            os.close(pipe.fd)
        self.gone = True
        self._on_end()


def described(code: int) -> str:
    if code == child.CHANNEL_CLOSED:
        return "The function closed the runtime's connection"
    if code >= 0:
        return f"The process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "a real-time signal"
    return f"The process was killed by signal {-code} ({name})"


def last_words(stderr: str, *, hidden: str) -> str:
    """The end of it; of the interpreter's own report of a crash, what and where: without other threads and our code."""
    what = re.search(r"^Fatal Python error: .*", stderr, re.MULTILINE)
    if what is None:
        return stderr.strip()[-SHOWN:]
    where = re.search(r"^Current thread (?:.+\n?)*", stderr, re.MULTILINE)
    lines = where.group().splitlines() if where else []
    return "\n".join([what.group(), *(line for line in lines if hidden not in line)])[:SHOWN]
