"""Which servers to look at: those of the settings, else those of the data folder. All at once, each bounded in time."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from backbone.kit.addresses import masked
from backbone.model.errors import Invalid, Unavailable
from launcher import servers
from launcher.checking.finding import Finding
from launcher.data_folder import DataFolder
from launcher.settings import Settings

WITHIN = 5.0  # seconds

Look = Callable[[Finding], Awaitable[None]]


async def every_server(settings: Settings, data: Path) -> list[Finding]:
    folder = DataFolder(data)
    named = bool(settings.database or settings.kafka or settings.rabbitmq or settings.url)
    looks = [
        _postgres(settings, folder) if settings.database or not named else None,
        _kafka(settings) if settings.kafka else None,
        _rabbitmq(settings) if settings.rabbitmq else None,
        _gateway(settings, folder) if settings.url or not named else None,
    ]
    return list(await asyncio.gather(*(_bounded(*look) for look in looks if look)))


def _postgres(settings: Settings, folder: DataFolder) -> tuple[Finding, Look]:
    async def look(finding: Finding) -> None:
        from launcher.checking import postgres

        dsn = servers.database_address(settings) if settings.database else _kept(folder, "postgres", "dsn")
        finding.address = masked(dsn)
        await postgres.look(finding, dsn)

    return Finding("PostgreSQL", masked(settings.database)), look


def _kafka(settings: Settings) -> tuple[Finding, Look]:
    async def look(finding: Finding) -> None:
        _need("aiokafka")
        from launcher.checking import kafka

        await kafka.look(finding, settings, servers.kafka_options(settings))

    return Finding("Kafka", settings.kafka), look


def _rabbitmq(settings: Settings) -> tuple[Finding, Look]:
    async def look(finding: Finding) -> None:
        _need("aiormq")
        from launcher.checking import rabbitmq

        await rabbitmq.look(finding, servers.rabbitmq_address(settings), dispatches=bool(settings.database))

    return Finding("RabbitMQ", masked(settings.rabbitmq)), look


def _gateway(settings: Settings, folder: DataFolder) -> tuple[Finding, Look]:
    async def look(finding: Finding) -> None:
        from launcher.checking import gateway

        url, token = settings.url, settings.token
        if not url:
            # As the other commands: the file's token goes to nobody but whom the file names.
            url, token = _kept(folder, "gateway", "url"), token or _kept(folder, "gateway", "token")
        finding.address = masked(url)
        await gateway.look(finding, url, token)

    return Finding("gateway", masked(settings.url)), look


async def _bounded(finding: Finding, look: Look) -> Finding:
    try:
        async with asyncio.timeout(WITHIN):
            await look(finding)
    except TimeoutError:
        finding.wrong(
            f"it did not answer within {WITHIN:g} s", "look whether it hangs, and whether a firewall stands between"
        )
    except Invalid as error:
        finding.wrong(str(error), "mend the setting; docs/settings.md says what it takes")
    except Unavailable as error:
        finding.wrong(str(error), "start it, or name one that runs in the settings")
    except Exception as error:  # any: the others are told all the same
        finding.wrong(f"asking it failed: {type(error).__name__}: {masked(str(error))}", "look at the server's log")
    return finding


def _kept(folder: DataFolder, name: str, field: str) -> str:
    kept: dict[str, Any] = folder.read(f"{name}.json")
    return str(kept[field])


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise Unavailable(package, "it is not installed here: pip install 'trigger-engine[cluster]'")
