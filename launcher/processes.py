"""The parts of `up` that are processes: started, kept running, ended in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping

from backbone.drivers.agent_pool.processes import STATUS_FD
from launcher.settings import PREFIX

FIRST_PAUSE = 0.1  # seconds before a part that ended by itself is started again
LONGEST_PAUSE = 5.0
PATIENCE = 6.0
"""How long a part may take to end after SIGTERM before it is killed. Longer than the gateway gives to requests
that are being answered, and short enough for a person who waits after Ctrl-C."""

log = logging.getLogger(__name__)


class Part:
    """`python -m launcher.roles ROLE`, again and again until told to end."""

    def __init__(self, role: str, environment: Callable[[], Mapping[str, str]], heard: Callable[[str], None]) -> None:
        self.role = role
        self._environment = environment
        self._heard = heard
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Until cancelled; the process has ended then."""
        pause = FIRST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                code = await self._run_once()
            except asyncio.CancelledError:
                await self._end()
                raise
            if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            log.warning("part ended, starting it again", extra={"role": self.role, "exit_code": code})
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _run_once(self) -> int:
        reading, writing = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command(self.role),
                env={**self._environment(), STATUS_FD: str(writing)},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[writing],
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        following = asyncio.create_task(self._follow(reading))
        try:
            return await self._process.wait()
        finally:
            following.cancel()
            await asyncio.wait([following])

    async def _follow(self, reading: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
        )
        try:
            while line := await reader.readline():
                self._heard(line.decode().strip())
        finally:
            transport.close()

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            log.warning("part does not end, killed", extra={"role": self.role})
            process.kill()
            await process.wait()


def given_to(environment: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Settings for our parts, in place of what our own environment says of them, by value or by file."""
    by_file = {f"{PREFIX}{name}_FILE" for name in given}
    kept = {name: value for name, value in environment.items() if name not in by_file}
    return {**kept, **{PREFIX + name: value for name, value in given.items()}}


def command(*role: str) -> list[str]:
    return [sys.executable, "-m", "launcher.roles", *role]
