"""A function process for tests: real, with a listener that remembers and can be waited on."""

from __future__ import annotations

import asyncio
import json
import os
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.process import FunctionProcess, ModuleSpec, Outcome

PATIENCE = timedelta(seconds=30)


class Remembered:
    """A listener that keeps what it heard; `until` waits for something to be heard."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self.lines: list[tuple[int | None, dict[str, str]]] = []
        self.reports: list[tuple[int, dict[str, Any]]] = []
        self.order: list[str] = []
        self.lost_because: str | None = None
        self._heard = asyncio.Event()

    def progressed(self, slot: int, report: bytes) -> None:
        self.reports.append((slot, json.loads(report)))
        self._note("progressed")

    def logged(self, slot: int | None, lines: bytes) -> None:
        self.lines += [(slot, line) for line in json.loads(lines)]
        self._note("logged")

    def finished(self, slot: int, outcome: Outcome) -> None:
        assert slot not in self.outcomes, f"slot {slot} finished twice"
        self.outcomes[slot] = outcome
        self._note("finished")

    def lost(self, reason: str) -> None:
        assert self.lost_because is None, "lost twice"
        self.lost_because = reason
        self._note("lost")

    def _note(self, what: str) -> None:
        self.order.append(what)
        self._heard.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    def fewer_run_than(self, limit: int, started: int) -> bool:
        return started - len(self.outcomes) < limit

    def messages(self, slot: int | None) -> list[str]:
        return [line["message"] for of, line in self.lines if of == slot]

    async def said(self, message: str, slot: int | None = 1) -> None:
        await self.until(lambda: message in self.messages(slot))


class Served:
    """A running process of a module, and a way to call it as a test wants to."""

    def __init__(self, process: FunctionProcess, heard: Remembered) -> None:
        self.process = process
        self.heard = heard

    def run(self, function: str, slot: int = 1, *, event: Any = None, causation: Any = None, **given: Any) -> None:
        self.process.run(
            slot,
            function,
            execution=b'{"id":"execution-%d","triggerId":"trigger-1","projectId":"project-1"}' % slot,
            input=json.dumps(given).encode(),
            event=json.dumps(event).encode(),
            causation=json.dumps(causation, separators=(",", ":")).encode(),
        )

    async def outcome(self, slot: int = 1) -> Outcome:
        await self.heard.until(lambda: slot in self.heard.outcomes or self.heard.lost_because is not None)
        assert slot in self.heard.outcomes, f"lost: {self.heard.lost_because}"
        return self.heard.outcomes[slot]

    async def call(
        self, function: str, slot: int = 1, *, event: Any = None, causation: Any = None, **given: Any
    ) -> Outcome:
        self.heard.outcomes.pop(slot, None)
        self.run(function, slot, event=event, causation=causation, **given)
        return await self.outcome(slot)

    async def output(self, function: str, *, event: Any = None, causation: Any = None, **given: Any) -> Any:
        outcome = await self.call(function, event=event, causation=causation, **given)
        assert outcome.ok, outcome
        return json.loads(outcome.output)

    async def lost(self) -> str:
        await self.heard.until(lambda: self.heard.lost_because is not None)
        return self.heard.lost_because or ""


@asynccontextmanager
async def serving(
    folder: Path, source: str | None = None, *, environment: Mapping[str, str] | None = None, **spec: Any
) -> AsyncIterator[Served]:
    if source is not None:
        (folder / "main.py").write_text(textwrap.dedent(source))
    heard = Remembered()
    given = {"PATH": os.environ["PATH"], **(environment or {})}
    process = FunctionProcess(ModuleSpec(folder=folder, environment=given, **spec), heard)
    await process.start()
    try:
        yield Served(process, heard)
    finally:
        await process.stop(timedelta(0))
