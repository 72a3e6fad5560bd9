"""One role as one process: `python -m launcher.roles engine | dispatcher | gateway | agent SERVICE_ID`.

Settings come from the environment. SIGTERM ends a role in order; an agent drains then, and after SIGINT leaves soon.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from backbone.kit import garbage, logs
from backbone.kit.loops import Health, keep
from backbone.model.resources import Catalog
from backbone.store.queries import sql
from launcher import embedded, servers
from launcher.settings import Settings, from_environment

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

PARENT = "TRIGGER_ENGINE_PARENT"
DATA = "TRIGGER_ENGINE_DATA"
LOAD_FAILED = 3
WAITING = 1.0  # seconds between two looks for a server that is not there

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4

log = logging.getLogger(__name__)

Role = Callable[[Settings, embedded.Parts, Health], Awaitable[None]]


async def engine(settings: Settings, parts: embedded.Parts, health: Health) -> None:
    from trigger_engine import guard, service

    limits = guard.Limits(
        max_depth=settings.max_depth,
        generations=settings.loop_generations,
        entity_matches=settings.loop_entity_matches,
        trigger_matches=settings.loop_trigger_matches,
        window=settings.loop_window,
        hold=settings.loop_hold,
    )
    await service.run(
        parts.database,
        parts.wakeups,
        parts.event_log,
        parts.work_queue,
        health,
        limits,
        keeps_all=settings.keep_events == "all",
    )


async def dispatcher(settings: Settings, parts: embedded.Parts, health: Health) -> None:
    from dispatcher import service

    rules = service.DispatcherSettings(
        lease=settings.lease,
        retention=settings.retention,
        queue_limit=settings.queue_limit,
        republish_after=settings.republish_after,
    )
    await service.run(parts.database, parts.wakeups, parts.work_queue, parts.reports, health, rules)


async def gateway(settings: Settings, parts: embedded.Parts, health: Health) -> None:
    from gateway import service

    rules = gateway_rules(settings)
    await service.run(
        parts.database, parts.wakeups, parts.event_log, parts.work_queue, health, rules, on_listening=_tell_address
    )


def gateway_rules(settings: Settings) -> GatewaySettings:
    """Raises Invalid when they cannot be kept."""
    from gateway.settings import GatewaySettings

    management = servers.rabbitmq_management(settings)
    rules = GatewaySettings(
        host=settings.host,
        port=settings.port,
        token=settings.token or None,
        catalog=Catalog.with_additions(settings.resources),
        max_depth=settings.max_depth,
        scan_quota=settings.scan_quota,
        every_event_kept=not settings.kafka or settings.keep_events == "all",
        agent_login=None if management is None else management.login,
    )
    rules.check()
    return rules


def _tell_address(host: str, port: int) -> None:
    from launcher import status_line

    status_line.tell(f"listening {host} {port}")
    log.info("listens", extra={"url": f"http://{host}:{port}"})


ROLES: dict[str, Role] = {"engine": engine, "dispatcher": dispatcher, "gateway": gateway}


async def run(role: str) -> None:
    garbage.collected_seldom()
    settings = from_environment()
    health = Health()
    name = f"{role} {socket.gethostname()} {os.getpid()}"  # in containers process ids are alike
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(_parts(settings, role, health))
        stack.push_async_callback(_forget, parts, name)
        telling = asyncio.create_task(keep("tell", lambda: _tell(parts, name, role, health), Health()))
        try:
            await _serve(role, settings, parts, health, lambda: ROLES[role](settings, parts, health))
        finally:
            telling.cancel()
            await asyncio.wait([telling])


def _parts(settings: Settings, role: str, health: Health) -> AbstractAsyncContextManager[embedded.Parts]:
    """Clients of servers that the settings do not name are not even imported."""
    if not (settings.kafka or settings.rabbitmq):
        return embedded.parts(settings, role, health)
    from launcher import cluster

    return cluster.parts(settings, role, health)


async def _serve(
    role: str, settings: Settings, parts: embedded.Parts, health: Health, body: Callable[[], Awaitable[None]]
) -> None:
    if role == "engine" and settings.kafka:
        from launcher import connectors, faust_host

        streams = connectors.streams(settings, parts.database, parts.event_log, health)
        await faust_host.run(
            lambda: keep(role, body, health), health, host=settings.host, port=settings.status_port, streams=streams
        )
        return
    if role == "gateway" or not settings.status_port:
        await until_told(keep(role, body, health))
        return
    from launcher import status_page  # brings a web server, which most parts do without

    async with status_page.shown(health, settings.host, settings.status_port):
        await until_told(keep(role, body, health))


async def until_told(body: Awaitable[None]) -> None:
    """SIGTERM and Ctrl-C cancel the body, and it ends in order."""
    stop = asyncio.create_task(_stop_on(signal.SIGTERM, signal.SIGINT).wait())
    working = asyncio.ensure_future(body)
    try:
        await asyncio.wait([stop, working], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stop, working):
            task.cancel()
        await asyncio.wait([stop, working])
    if not working.cancelled():
        working.result()


async def until_there(what: str, ask: Callable[[], Awaitable[object]]) -> None:
    """Wait for a server that is not there yet, and say so."""
    said = ""
    while True:
        try:
            await ask()
            return
        except Exception as error:  # any: a server that starts says strange things
            reason = str(error) or type(error).__name__
            if reason != said:
                log.warning("waits for %s: %s", what, reason)
                said = reason
        await asyncio.sleep(WAITING)


async def _tell(parts: embedded.Parts, name: str, role: str, health: Health) -> None:
    while True:
        await parts.database.pool.execute(sql("incident/tell part"), name, role, health.ready, health.detail)
        await asyncio.sleep(1)


async def _forget(parts: embedded.Parts, name: str) -> None:
    try:
        await asyncio.wait_for(parts.database.pool.execute(sql("incident/forget part"), name), 1)
    except Exception as error:  # the server may have gone before us; the row goes stale by itself
        log.debug("part not forgotten", extra={"reason": str(error)})


async def run_agent(service_id: str) -> int:
    garbage.collected_seldom()
    settings = from_environment(needs=())
    drain, soon = _stop_on(signal.SIGTERM), _stop_on(signal.SIGINT)
    ready = asyncio.Event()
    working = asyncio.create_task(_work(service_id, settings, drain, soon, ready))
    first = [asyncio.create_task(event.wait()) for event in (drain, soon, ready)]
    try:
        await asyncio.wait([working, *first], return_when=asyncio.FIRST_COMPLETED)
        if not ready.is_set():
            working.cancel()  # told to go while it loads: it holds nothing yet
            await asyncio.wait([working])
            return 0 if working.cancelled() else working.result()
        return await working
    finally:
        for task in first:
            task.cancel()


async def _work(
    service_id: str, settings: Settings, drain: asyncio.Event, soon: asyncio.Event, ready: asyncio.Event
) -> int:
    """Exit code 3 when the service's code cannot be loaded: whoever started us decides when to try again."""
    from agent import functions, service
    from backbone.model.errors import TriggerEngineError
    from launcher import status_line

    def on_ready() -> None:
        ready.set()
        status_line.tell("ready")

    async with _agent_parts(settings, service_id) as parts:
        try:
            loaded = await functions.load(
                settings.url, settings.token or None, service_id, Path(os.environ[DATA]) / "code"
            )
            logs.configure(f"agent {loaded.name}", form=settings.log_format, level=settings.log_level)
            stop = service.Stop(drain=drain, soon=soon, grace=settings.stop_grace)
            await service.run(service_id, loaded, parts.work_queue, parts.reports, settings.lease, stop, on_ready)
        except TriggerEngineError as error:
            trace = getattr(error, "traceback", "")
            log.error("the service cannot start: %s%s", error, f"\n{trace}" if trace else "")
            status_line.tell(str(error).replace("\n", " "))
            return LOAD_FAILED
    return 0


@asynccontextmanager
async def _agent_parts(settings: Settings, service_id: str) -> AsyncIterator[embedded.AgentParts]:
    if settings.rabbitmq:
        from launcher import cluster

        async with cluster.agent_parts(settings, service_id, Health()) as of_agent:
            yield of_agent
        return
    async with embedded.parts(settings, "agent", Health()) as parts:
        yield embedded.AgentParts(work_queue=parts.work_queue, reports=parts.reports)


def _stop_on(*signals: signal.Signals) -> asyncio.Event:
    stop = asyncio.Event()
    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def die_with_parent() -> None:
    """What our parent started ends with it, also when it is killed. Linux only; elsewhere orphans end by themselves
    once somebody takes their leases."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the process that started this one has ended")


def keep_environment_private() -> None:
    """The functions of users run as our user; what they may read of us in /proc does not include our settings. Linux
    only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    die_with_parent()
    role, *rest = sys.argv[1:]
    settings = from_environment(needs=() if role == "agent" else ("database",))
    logs.configure(role, form=settings.log_format, level=settings.log_level)
    if role == "agent":
        keep_environment_private()
        sys.exit(uvloop.run(run_agent(rest[0])))
    uvloop.run(run(role))


if __name__ == "__main__":
    main()
