"""The load generator, a process of its own: HTTP over plain sockets, so that it takes little of what it measures.

Without --rate each connection sends its next request when the last was answered; with it requests leave at their
time, answered or not. No request is sent before the one before it on its connection was answered. Each event carries
its number and when it was sent. Prints one JSON object; any answer but "all accepted" ends it with an error.

Example:
  python -m benchmarks.load http://127.0.0.1:8900 --run r1 --events 20000 --per-request 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

EVENT_BYTES = 1300
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    run: str
    """What the ids of this run's events begin with."""
    events: int
    per_request: int = 1
    connections: int = 16
    rate: float | None = None
    """Events a second; as many as are answered without it."""

    def __post_init__(self) -> None:
        if self.events % self.per_request:
            raise ValueError(f"{self.events} events do not fill requests of {self.per_request}")

    @property
    def requests(self) -> int:
        return self.events // self.per_request


async def run(url: str, plan: Plan) -> dict[str, Any]:
    """In a process of its own; what it says."""
    words = ["--run", plan.run, "--events", str(plan.events), "--per-request", str(plan.per_request)]
    words += ["--connections", str(plan.connections)] + (["--rate", str(plan.rate)] if plan.rate else [])
    command = [sys.executable, "-m", "benchmarks.load", url, *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    result: dict[str, Any] = json.loads(output)
    return result


def template(plan: Plan, host: str) -> bytes:
    """A whole request with three places an event: its number, again, and the time; always of the same length."""
    event = {
        "id": f"{plan.run}-%09d",
        "project": "benchmark",
        "resource": "Item",
        "action": "Created",
        "entity": {
            "id": f"{plan.run}-%09d",
            "sent": "%.6f",
            "name": "photograph.jpg",
            "dir": "/photos/2024",
            "type": "file",
            "hidden": False,
            "annotated": False,
            "metadata": {"system": {"mimetype": "image/jpeg", "size": 183423, "width": 1920, "height": 1080}},
        },
    }
    text = json.dumps(event, separators=(",", ":")).replace('"%.6f"', "%.6f")
    text_length = len(text % (0, 0, 1e9))
    note = ',"user":{"note":"' + "x" * max(0, EVENT_BYTES - text_length - 19) + '"}'
    text = text.removesuffix("}}}") + note + "}}}"
    body = text if plan.per_request == 1 else "[" + ",".join([text] * plan.per_request) + "]"
    length = len(body % ((0, 0, 1e9) * plan.per_request))
    head = f"POST /api/v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n{body}".encode()


class Load:
    def __init__(self, plan: Plan, host: str) -> None:
        self._plan = plan
        self._template = template(plan, host)
        self._accepted = b'{"accepted":%d,' % plan.per_request
        self._due: deque[float] = deque()
        self._free: list[Connection] = []
        self._begun = 0
        self._answered = 0
        self.over = asyncio.get_running_loop().create_future()

    async def keep_pace(self, rate: float) -> None:
        """Requests become due at their times, whatever became of those before; sent is when one was due."""
        clock = asyncio.get_running_loop().time
        began = clock()
        for number in range(self._plan.requests):
            wait = began + number * self._plan.per_request / rate - clock()
            if wait > 0:
                await asyncio.sleep(wait)
            self._due.append(time.time())
            if self._free:
                self.send_next(self._free.pop())

    def send_next(self, connection: Connection) -> None:
        if self._plan.rate is None:
            if self._begun < self._plan.requests:
                self._send(connection, time.time())
        elif self._due:
            self._send(connection, self._due.popleft())
        else:
            self._free.append(connection)

    def _send(self, connection: Connection, sent: float) -> None:
        first = self._begun * self._plan.per_request
        self._begun += 1
        values = [value for n in range(first, first + self._plan.per_request) for value in (n, n, sent)]
        connection.transport.write(self._template % tuple(values))

    def answered(self, connection: Connection, head: bytes, body: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 202 ") or not body.startswith(self._accepted):
            self.failed(f"{head!r} {body!r}")
            return
        self._answered += 1
        if self._answered == self._plan.requests:
            self.over.set_result(None)
        else:
            self.send_next(connection)

    def failed(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError(reason))


class Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        if length is None:
            self._load.failed(f"an answer without its length: {head!r}")
        elif len(body) >= int(length[1]):
            self._received = b""
            self._load.answered(self, head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.failed(f"the gateway closed a connection: {exc}")


async def generate(url: str, plan: Plan) -> dict[str, Any]:
    address = urlsplit(url)
    load = Load(plan, address.netloc)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: Connection(load), address.hostname or "", address.port or 80))[1]
        for _ in range(plan.connections)
    ]
    began, cpu = time.time(), time.process_time()
    for connection in connections:
        load.send_next(connection)
    pace = asyncio.create_task(load.keep_pace(plan.rate)) if plan.rate else None
    try:
        await load.over
    finally:
        if pace is not None:
            pace.cancel()
    return {"began": began, "ended": time.time(), "cpu": time.process_time() - cpu}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="the gateway's")
    parser.add_argument("--run", required=True, help="what the ids of the events begin with")
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--per-request", type=int, default=1)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=float, help="events a second (default: as many as are answered)")
    given = vars(parser.parse_args())
    print(json.dumps(uvloop.run(generate(given.pop("url"), Plan(**given)))))


if __name__ == "__main__":
    main()
