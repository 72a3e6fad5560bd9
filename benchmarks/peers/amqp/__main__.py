"""One run of Dramatiq or Celery on a given RabbitMQ. Prints one JSON object: jobs a second, and microseconds of
processor time a job, of producer, workers and, where its process is told, server together.

  e2e      added one by one while the workers run, until the last job ran
  drained  added first, while the workers are held (SIGSTOP); from their going on until the last job ran

Workers and producer are processes of their own. The time begins after a warm-up; that each job ran once is asserted
when the workers have ended. What was declared on the server is deleted.

Example:
  python -m benchmarks.peers.amqp dramatiq e2e --url amqp://guest:guest@127.0.0.1:5672/ --jobs 10000
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks import processes
from benchmarks.peers.amqp.seen import VARIABLE, Seen
from launcher import become

PEERS = ("dramatiq", "celery")
HOW = ("e2e", "drained")
WARM_UP = 500
NOTE = "x" * 1200
PATIENCE = 120.0
LOOK = 0.005


def run(name: str, how: str, url: str, results: str | None, jobs: int, server: int | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="benchmark-peer-") as folder:
        path = Path(folder) / "seen"
        seen = Seen.made(path, WARM_UP + jobs)
        os.environ |= {VARIABLE: str(path), "BENCHMARK_URL": url} | ({"BENCHMARK_RESULTS": results} if results else {})
        peer: Any = importlib.import_module(f"benchmarks.peers.amqp.{name}_jobs")
        try:
            with (Path(folder) / "log").open("wb") as log, _running(peer.worker(), log) as workers:
                add = peer.adder()
                _add(add, range(WARM_UP))
                _until(seen, jobs, workers)
                cpu, began = _used(server), time.perf_counter()
                if how == "drained":
                    with _held(workers):
                        _add(add, range(WARM_UP, WARM_UP + jobs))
                    began = time.perf_counter()
                else:
                    _add(add, range(WARM_UP, WARM_UP + jobs))
                _until(seen, 0, workers)
                seconds, cpu = time.perf_counter() - began, _used(server) - cpu
        except RuntimeError:
            sys.stderr.write((Path(folder) / "log").read_text()[-4000:])
            raise
        finally:
            peer.forget()
        assert seen.once() == WARM_UP + jobs, f"{seen.once()} of {WARM_UP + jobs} jobs ran once"
    return {"peer": name, "how": how, "jobs": jobs, "rate": jobs / seconds, "cpu": cpu / jobs * 1e6}


def _used(server: int | None) -> float:
    """Seconds of processor time so far."""
    return sum(processes.whole(pid).cpu for pid in (os.getpid(), server) if pid)


def _add(add: Any, numbers: range) -> None:
    for number in numbers:
        add(number, NOTE)


def _until(seen: Seen, left: int, workers: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while (never := seen.never()) > left:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{never} jobs did not run within {PATIENCE:.0f} s")
        if any(worker.poll() is not None for worker in workers):
            raise RuntimeError("a worker ended")
        time.sleep(LOOK)


@contextmanager
def _running(commands: list[list[str]], log: IO[bytes]) -> Iterator[list[subprocess.Popen[bytes]]]:
    # Whatever becomes of this process, the workers end with it.
    until_we_end = [become.__file__, str(os.getpid()), str(signal.SIGTERM.value), str(os.geteuid())]
    workers = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", *until_we_end, *command], stdout=log, stderr=log, start_new_session=True
        )
        for command in commands
    ]
    try:
        yield workers
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(30)
    finally:
        for worker in workers:
            try:
                os.killpg(worker.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # all of it has ended
            worker.wait()


@contextmanager
def _held(workers: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    for worker in workers:
        os.killpg(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.killpg(worker.pid, signal.SIGCONT)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.amqp",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("how", choices=HOW)
    parser.add_argument("--url", required=True, help="of a RabbitMQ server")
    parser.add_argument("--results", help="for Celery: a PostgreSQL server for its results, in SQLAlchemy's words")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--server-pid", type=int, help="the server's process, where it is on this machine")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(json.dumps(run(given.peer, given.how, given.url, given.results, given.jobs, given.server_pid)))


if __name__ == "__main__":
    main()
