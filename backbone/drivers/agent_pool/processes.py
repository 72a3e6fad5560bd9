"""Agents as processes of this machine, each kept running until it is told to go."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from backbone.model.definitions import Service
from backbone.ports import AgentState

STATUS_FD = "TRIGGER_ENGINE_STATUS_FD"
"""Names the pipe on which an agent says one line: `ready`, or why it cannot be."""

LAST_LINE = 1.0  # seconds to read what an agent that ended had said; one that it started may hold the pipe open

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    first_pause: timedelta = timedelta(milliseconds=200)
    """Before an agent that ended by itself is started again; doubled each time it ends soon."""

    longest_pause: timedelta = timedelta(seconds=15)
    margin: timedelta = timedelta(seconds=10)
    """What an agent may take beyond its drain time before it is killed: for its last reports."""


@dataclass(eq=False)
class _Agent:
    service: Service
    number: int
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    told: signal.Signals = signal.SIGTERM
    ready: bool = False
    reason: str = "starting"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    process: asyncio.subprocess.Process | None = None
    said: str = ""  # by the process that runs now

    def now_is(self, *, ready: bool, reason: str) -> None:
        if (ready, reason) != (self.ready, self.reason):
            self.ready, self.reason, self.since = ready, reason, datetime.now(UTC)

    def leave(self, how: signal.Signals) -> None:
        """SIGTERM: when what it holds is finished. SIGINT: soon. See the agent's end in launcher/roles.py."""
        self.told = how
        self.leaving.set()
        self.send(how)

    def send(self, number: signal.Signals) -> None:
        try:
            if self.process is not None:
                self.process.send_signal(number)
        except ProcessLookupError:
            pass


class ProcessAgentPool:
    """`command` gives the program that is an agent of a service, `environment` what it inherits."""

    def __init__(
        self,
        command: Callable[[Service], Sequence[str]],
        environment: Callable[[Service], Mapping[str, str]],
        patience: Patience = Patience(),
    ) -> None:
        self._command = command
        self._environment = environment
        self._patience = patience
        self._agents: dict[asyncio.Task[None], _Agent] = {}

    async def resize(self, service: Service, replicas: int) -> None:
        staying = 0
        for agent in self._of(service):
            if agent.leaving.is_set():
                continue
            if agent.service.version == service.version and staying < replicas:
                staying += 1
            else:
                agent.leave(signal.SIGTERM)
        for _ in range(staying, replicas):
            agent = _Agent(service, self._free_number(service))
            task = asyncio.create_task(self._keep(agent))
            self._agents[task] = agent
            task.add_done_callback(self._agents.pop)

    async def observe(self) -> Sequence[AgentState]:
        return [
            AgentState(
                service_id=agent.service.id,
                name=f"agent {agent.service.name} {agent.number}",
                ready=agent.ready,
                reason=agent.reason,
                since=agent.since,
            )
            for agent in self._agents.values()
        ]

    async def close(self, grace: timedelta) -> None:
        for agent in self._agents.values():
            agent.leave(signal.SIGINT)
        tasks = list(self._agents)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=(grace + self._patience.margin).total_seconds())
            for task in late:
                self._agents[task].send(signal.SIGKILL)
            await asyncio.wait(tasks)

    def _of(self, service: Service) -> list[_Agent]:
        return [agent for agent in self._agents.values() if agent.service.id == service.id]

    def _free_number(self, service: Service) -> int:
        taken = {agent.number for agent in self._of(service)}
        return next(number for number in count(1) if number not in taken)

    async def _keep(self, agent: _Agent) -> None:
        clock = asyncio.get_running_loop().time
        first, longest = self._patience.first_pause.total_seconds(), self._patience.longest_pause.total_seconds()
        pause = first
        while not agent.leaving.is_set():
            began = clock()
            await self._run_once(agent)
            if agent.leaving.is_set():
                return
            if clock() - began > longest:
                pause = first
            log.warning("agent ended, starting another", extra={"service": agent.service.name, "reason": agent.reason})
            try:
                async with asyncio.timeout(pause):
                    await agent.leaving.wait()
            except TimeoutError:
                pause = min(pause * 2, longest)

    async def _run_once(self, agent: _Agent) -> None:
        try:
            agent.process, reading = await self._start(agent.service)
        except OSError as error:
            agent.now_is(ready=False, reason=f"cannot be started: {error}")
            return
        agent.said = ""
        following = asyncio.create_task(_follow(agent, reading))
        bounding = asyncio.create_task(self._bound(agent))
        if agent.leaving.is_set():  # told while it was being started
            agent.send(agent.told)
        try:
            code = await agent.process.wait()
            await asyncio.wait([following], timeout=LAST_LINE)
        except asyncio.CancelledError:
            agent.send(signal.SIGKILL)
            await agent.process.wait()
            raise
        finally:
            for task in (following, bounding):
                task.cancel()
            await asyncio.wait([following, bounding])
            agent.process = None
        failed = agent.said not in ("", "ready")
        agent.now_is(ready=False, reason=agent.said if failed else f"ended with exit code {code}")

    async def _start(self, service: Service) -> tuple[asyncio.subprocess.Process, int]:
        """The process, and the end of the pipe on which it says its line."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(service),
                env={**self._environment(service), STATUS_FD: str(writing)},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[writing],
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return process, reading

    async def _bound(self, agent: _Agent) -> None:
        await agent.leaving.wait()
        await asyncio.sleep((agent.service.drain_time + self._patience.margin).total_seconds())
        log.warning("agent does not end, killed", extra={"service": agent.service.name})
        agent.send(signal.SIGKILL)


async def _follow(agent: _Agent, reading: int) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    try:
        while line := await reader.readline():
            agent.said = line.decode(errors="replace").strip()
            agent.now_is(ready=agent.said == "ready", reason=agent.said)
    finally:
        transport.close()
