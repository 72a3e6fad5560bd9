"""How Kafka is reached, and waiting for a broker that is not there yet."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, TypeVar

from aiokafka.errors import KafkaError

from backbone.kafka import quiet

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Client = TypeVar("Client")

SERVICE: Final = "Kafka"
FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 2.0
TELL_EVERY = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What the brokers ask for. For mTLS the client's certificate is in `ssl_context`."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "PLAIN"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    servers: str
    """`host:port`, several of them separated by commas: whichever answers names the rest."""

    security: Security = field(default_factory=Security)

    name: str = "trigger-engine"
    """What brokers call us in their logs, metrics and lists of members."""

    patience: timedelta = timedelta(seconds=10)
    """A request that was not answered for so long is given up, and its connection with it. A connection that the
    network cut without a word is found so, and there is time to begin anew before half a minute is over."""

    def options(self) -> dict[str, Any]:
        """For any of aiokafka's clients."""
        quiet.fewer_lines()
        return {
            "bootstrap_servers": self.servers,
            "client_id": self.name,
            "request_timeout_ms": milliseconds(self.patience),
            "security_protocol": self.security.protocol,
            "ssl_context": self.security.ssl_context,
            "sasl_mechanism": self.security.mechanism,
            "sasl_plain_username": self.security.user,
            "sasl_plain_password": self.security.password,
        }


def milliseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


async def started(
    connection: Connection, make: Callable[[], Client], end: Callable[[Client], Awaitable[None]]
) -> Client:
    """A client that was made and started. Waits as long as no broker answers, and says so now and then."""
    clock = asyncio.get_running_loop().time
    told: float | None = None
    pause = FIRST_PAUSE
    while True:
        client: Any = make()
        try:
            await client.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await end(client)
            if isinstance(error, KafkaError) and not error.retriable:
                raise
            if told is None or clock() - told >= TELL_EVERY:
                told = clock()
                log.warning("waits for Kafka", extra={"servers": connection.servers, "reason": reason(error)})
        except BaseException:
            await end(client)
            raise
        else:
            if told is not None:
                log.info("reached Kafka", extra={"servers": connection.servers})
            found: Client = client
            return found
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def reason(error: BaseException) -> str:
    """aiokafka's errors say their names; others may say nothing at all."""
    return str(error) if isinstance(error, KafkaError) else f"{type(error).__name__}: {error}"
