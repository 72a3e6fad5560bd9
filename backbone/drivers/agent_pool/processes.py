"""Agents as processes of this machine, each kept running until it is told to go."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from backbone.model.definitions import Service
from backbone.ports import AgentState

STATUS_FD = "TRIGGER_ENGINE_STATUS_FD"
"""Names the pipe on which an agent says one line: `ready`, or why it cannot be."""

FIRST_PAUSE = 0.2  # seconds before an agent that ended by itself is started again
LONGEST_PAUSE = 15.0
MARGIN = timedelta(seconds=10)
"""What an agent may take beyond the drain time before it is killed: for its last reports."""

log = logging.getLogger(__name__)


@dataclass
class _Agent:
    service: Service
    number: int
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    signal: signal.Signals = signal.SIGTERM
    ready: bool = False
    reason: str = "starting"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    process: asyncio.subprocess.Process | None = None

    def now_is(self, *, ready: bool, reason: str) -> None:
        self.ready, self.reason, self.since = ready, reason, datetime.now(UTC)


class ProcessAgentPool:
    """`command` gives the program that is an agent of a service; what it inherits is in `environment`."""

    def __init__(self, command: Callable[[Service], Sequence[str]], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._agents: dict[asyncio.Task[None], _Agent] = {}

    async def resize(self, service: Service, replicas: int) -> None:
        staying = 0
        for agent in self._agents.values():
            if agent.service.id != service.id or agent.leaving.is_set():
                continue
            if agent.service.version == service.version and staying < replicas:
                staying += 1
            else:
                agent.leaving.set()
        for number in range(staying, replicas):
            agent = _Agent(service, number)
            task = asyncio.create_task(self._keep(agent))
            self._agents[task] = agent
            task.add_done_callback(self._agents.pop)

    async def observe(self) -> Sequence[AgentState]:
        return [
            AgentState(
                service_id=agent.service.id,
                name=f"agent {agent.service.name}",
                ready=agent.ready,
                reason=agent.reason,
                since=agent.since,
            )
            for agent in self._agents.values()
        ]

    async def close(self, grace: timedelta) -> None:
        for agent in self._agents.values():
            agent.signal = signal.SIGINT  # do not drain for long: see agent's end in launcher/roles.py
            agent.leaving.set()
        tasks = list(self._agents)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=(grace + MARGIN).total_seconds())
            for agent in [self._agents[task] for task in late]:
                _kill(agent)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, agent: _Agent) -> None:
        pause = FIRST_PAUSE
        while not agent.leaving.is_set():
            began = asyncio.get_running_loop().time()
            await self._run_once(agent)
            if agent.leaving.is_set():
                return
            if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            log.warning("agent ended, starting another", extra={"service": agent.service.name, "reason": agent.reason})
            try:
                async with asyncio.timeout(pause):
                    await agent.leaving.wait()
            except TimeoutError:
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _run_once(self, agent: _Agent) -> None:
        with ExitStack() as stack:
            reading, writing = os.pipe()
            try:
                agent.process = await asyncio.create_subprocess_exec(
                    *self._command(agent.service),
                    env={**self._environment, STATUS_FD: str(writing)},
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[writing],
                    start_new_session=True,
                )
            finally:
                os.close(writing)
                stack.callback(os.close, reading)
            status = asyncio.create_task(_follow(agent, os.dup(reading)))
            leaving = asyncio.create_task(_leave(agent))
            try:
                code = await agent.process.wait()
            except asyncio.CancelledError:
                _kill(agent)
                await agent.process.wait()
                raise
            finally:
                for task in (status, leaving):
                    task.cancel()
                await asyncio.gather(status, leaving, return_exceptions=True)
            reason = agent.reason if not agent.ready and agent.reason != "starting" else f"ended with exit code {code}"
            agent.now_is(ready=False, reason=reason)


async def _follow(agent: _Agent, reading: int) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    try:
        while line := await reader.readline():
            text = line.decode(errors="replace").strip()
            agent.now_is(ready=text == "ready", reason=text)
    finally:
        transport.close()


async def _leave(agent: _Agent) -> None:
    await agent.leaving.wait()
    assert agent.process is not None
    try:
        agent.process.send_signal(agent.signal)
    except ProcessLookupError:
        return
    await asyncio.sleep((agent.service.drain_time + MARGIN).total_seconds())
    _kill(agent)


def _kill(agent: _Agent) -> None:
    try:
        if agent.process is not None:
            agent.process.kill()
    except ProcessLookupError:
        pass
