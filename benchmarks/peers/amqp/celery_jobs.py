"""Celery: two processes of four threads, which is twice as fast as its pool of processes; much prefetched, no results,
no gossip.

With BENCHMARK_RESULTS (an address as SQLAlchemy takes it) each result is kept there.
"""

from __future__ import annotations

# mypy: disable-error-code="import-not-found"
import os
import sys
from collections.abc import Callable

from celery import Celery

from benchmarks.peers.amqp.seen import Seen

URL = "BENCHMARK_URL"
RESULTS = "BENCHMARK_RESULTS"
QUEUE = "celery-benchmark"

app = Celery("benchmark", broker=os.environ[URL], backend=os.environ.get(RESULTS))
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=RESULTS not in os.environ,
    worker_prefetch_multiplier=200,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)
seen = Seen.of_the_worker()


@app.task  # type: ignore[untyped-decorator]
def job(number: int, note: str) -> None:
    seen.ran(number)


def worker() -> list[list[str]]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    threads = ["--pool", "threads", "--concurrency", "4"]
    command = [sys.executable, "-W", "ignore", "-m", "celery", "--app", __name__, "--quiet", "worker", *threads, *quiet]
    return [[*command, "--hostname", f"{number}@%h"] for number in range(2)]


def adder() -> Callable[[int, str], None]:
    def add(number: int, note: str) -> None:
        job.apply_async((number, note))

    return add


def forget() -> None:
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(QUEUE)
