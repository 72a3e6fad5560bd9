"""What the test servers share: a program that ends with whoever started it, ports that stay free, one clear line.

Nothing here needs pytest, so that benchmarks can start the same servers.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from launcher import become

POLL = 0.01
TO_START = timedelta(seconds=120)
TO_END = timedelta(seconds=60)
# Below the ports that Linux gives to outgoing connections: a server that is down for a while finds its own free again.
PORTS = range(20000, 30000)


class Missing(Exception):
    """There is no such server, and nothing on this machine to start one from. The text says what to do."""


class Failed(Exception):
    """A server that is there did not start, or did not do what it was told."""


def free_port() -> int:
    """Workers of one run (pytest-xdist) have ranges of their own: between here and the server's start another could
    find the same port free."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(PORTS[number::workers], len(PORTS) // workers):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass  # taken
    raise Failed(f"no port of {PORTS.start} to {PORTS.stop - 1} is free")


class Program:
    """One run of a server's program. The kernel kills it when this process has ended, however that happened.

    To be started from the main thread: it is the end of the thread that the kernel goes by.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        output: Path,
        uid: int | None = None,
    ) -> None:
        self._output = output
        become_it = [
            become.__file__,
            str(os.getpid()),
            str(signal.SIGKILL.value),
            str(os.geteuid() if uid is None else uid),
        ]
        with output.open("ab") as written:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", *become_it, *map(str, command)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,  # one group to kill, and out of Ctrl-C's reach
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL to the whole group. Returns when the program has ended."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    async def stop(self) -> None:
        self._process.terminate()
        try:
            await self.ended()
        finally:
            self.kill()

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(TO_END.total_seconds()):
            while (code := self._process.poll()) is None:
                await asyncio.sleep(POLL)
        return code

    async def until_it_answers(self, port: int, hello: bytes = b"") -> None:
        """Returns when the program takes connections on the port and, if there is something to say, answers it."""
        try:
            async with asyncio.timeout(TO_START.total_seconds()):
                while not await _answers(port, hello):
                    if self._process.poll() is not None:
                        raise Failed(f"{self._output.stem} ended with {self._process.returncode}: {self.last_words()}")
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise Failed(f"{self._output.stem} does not answer on port {port}: {self.last_words()}") from None

    def last_words(self) -> str:
        return "\n".join(self._output.read_text(errors="replace").splitlines()[-20:])


async def _answers(port: int, hello: bytes) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(hello)
            return not hello or bool(await reader.read(1))
        finally:
            writer.close()
            await writer.wait_closed()
    except OSError:
        return False
