"""A look at RabbitMQ: what it is, what our user may do there, and whether it takes anything at the moment.

What a user may do is asked with names that nothing has: RabbitMQ looks at the permission first, and refuses with 403 or
says that there is no such thing. So nothing is made, taken or lost.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiormq
import aiormq.exceptions
from aiormq.abc import AbstractChannel
from aiormq.connection import TransportFactory
from yarl import URL

from backbone.kit.addresses import masked
from backbone.rabbitmq.topology import AGENTS, service_queue
from launcher.checking import reasons
from launcher.checking.finding import Finding, Problem
from launcher.servers import RabbitAddress

SETTING = "TRIGGER_ENGINE_RABBITMQ"
LEAVES_WITHIN = 1.0
TAKES_WITHIN = 2.0
"""A server that is short of memory or disk does not refuse what is published: it says nothing until it has room."""

_MENDED_IN = reasons.Settings(SETTING, f"{SETTING}_CA", f"{SETTING}_CERT and {SETTING}_KEY")


async def look(finding: Finding, address: RabbitAddress, *, dispatches: bool) -> None:
    """`dispatches`: we are to declare queues and give work there, and not only to take work and report."""
    socket = _Socket(address.context)
    connection = aiormq.Connection(address.url, context=address.context, transport_factory=socket)
    try:
        await connection.connect(client_properties={"connection_name": "trigger-engine check"})
        finding.reached = True
        await _ask(finding, connection, socket, dispatches)
    except (aiormq.AMQPError, OSError, EOFError) as error:
        finding.problems.append(_explained(error))
    finally:
        await _end(connection, socket)


async def _end(connection: aiormq.Connection, socket: _Socket) -> None:
    try:
        async with asyncio.timeout(LEAVES_WITHIN):
            await connection.close()
    except TimeoutError:  # a server that has blocked us does not hear us say that we go
        socket.abort()
        await connection.close()


class _Socket(TransportFactory):
    """Keeps hold of the socket, to be able to drop it."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **given: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        given.pop("ssl_context_provider")
        reader, self._writer = await asyncio.open_connection(url.host, url.port, ssl=self._context, **given)
        return reader, self._writer

    @property
    def tls(self) -> bool:
        return self._writer is not None and self._writer.get_extra_info("ssl_object") is not None

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


async def _ask(finding: Finding, connection: aiormq.Connection, socket: _Socket, dispatches: bool) -> None:
    told: Mapping[str, Any] = connection.server_properties
    name, exchange = service_queue(secrets.token_hex(8)), "" if dispatches else AGENTS
    may = {
        "mayDeclare": await _may(connection, lambda channel: channel.queue_delete(name, if_unused=True, if_empty=True)),
        "mayConsume": await _may(connection, lambda channel: channel.basic_get(name)),
    }
    finding.facts = {
        "version": f"{told.get('product', 'unknown')} {told.get('version', '')}".strip(),
        "vhost": connection.vhost or "/",
        "user": connection.url.user or "guest",
        "tls": socket.tls,
        **may,
    }
    try:
        async with asyncio.timeout(TAKES_WITHIN):
            finding.facts["mayPublish"] = await _may(
                connection, lambda channel: _publish(channel, exchange, name), confirms=True
            )
            # What was published first a server takes that will block us; then it hears nothing any more.
            await (await connection.channel()).close()
        finding.facts["blocked"] = False
    except TimeoutError:
        finding.facts["blocked"] = True
        finding.wrong(
            "it is blocked: it takes nothing that is published", "give it memory or disk; see `rabbitmqctl status`"
        )
    _judge(finding, dispatches)


def _judge(finding: Finding, dispatches: bool) -> None:
    facts = finding.facts
    # An agent need not declare, and may have a user that reads the queue of its own service only.
    needed = (
        {"mayDeclare": "configure", "mayPublish": "write", "mayConsume": "read"}
        if dispatches
        else {"mayPublish": "write"}
    )
    missing = [permission for name, permission in needed.items() if facts.get(name) is False]
    if missing:
        finding.wrong(
            f"{facts['user']} may not {', '.join(missing)} in the vhost {facts['vhost']!r}",
            f"rabbitmqctl set_permissions -p '{facts['vhost']}' {facts['user']} CONFIGURE WRITE READ",
        )


async def _may(connection: Any, ask: Callable[[AbstractChannel], Awaitable[Any]], *, confirms: bool = False) -> bool:
    """Whether the server refuses for want of a permission, or does it, or for any other reason does not."""
    channel = await connection.channel(publisher_confirms=confirms)
    try:
        await ask(channel)
    except aiormq.exceptions.ChannelAccessRefused:
        return False
    except aiormq.exceptions.ChannelNotFoundEntity:
        return True
    await channel.close()
    return True


async def _publish(channel: AbstractChannel, exchange: str, name: str) -> None:
    try:
        await channel.basic_publish(b"", exchange=exchange, routing_key=name, mandatory=True)
    except aiormq.exceptions.PublishError:
        pass  # it goes nowhere, as it should


def _explained(error: Exception) -> Problem:
    said = masked(str(error))
    if isinstance(error, aiormq.exceptions.AuthenticationError | aiormq.exceptions.ProbableAuthenticationError):
        return Problem("it does not take our user or password", f"look at user and password in {SETTING}")
    if isinstance(error, aiormq.exceptions.InvalidFrameError) and "OpenOk" in said:  # it was past the password
        return Problem(
            "it does not let us into the vhost: there is none of this name, or it is not ours",
            f"`rabbitmqctl add_vhost` and `set_permissions`, or mend the vhost in {SETTING}",
        )
    return reasons.explained(reasons.root(error), _MENDED_IN)
