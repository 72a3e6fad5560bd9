"""Dramatiq: two processes of eight threads, which is its default a processor, and its own prefetch; no results."""

from __future__ import annotations

# mypy: disable-error-code="import-not-found"
import os
import sys
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.peers.amqp.seen import Seen

URL = "BENCHMARK_URL"
QUEUE = "dramatiq-benchmark"

broker = RabbitmqBroker(url=os.environ[URL])
dramatiq.set_broker(broker)
seen = Seen.of_the_worker()


@dramatiq.actor(queue_name=QUEUE, max_retries=0)
def job(number: int, note: str) -> None:
    seen.ran(number)


def worker() -> list[list[str]]:
    """One command, which starts both."""
    return [[sys.executable, "-m", "dramatiq", __name__, "--processes", "2", "--threads", "8"]]


def adder() -> Callable[[int, str], None]:
    def add(number: int, note: str) -> None:
        job.send(number, note)

    return add


def forget() -> None:
    for name in (QUEUE, f"{QUEUE}.DQ", f"{QUEUE}.XQ"):
        broker.channel.queue_delete(name)
