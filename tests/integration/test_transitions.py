"""Whatever happens to executions, in whatever order: the database makes no step that the model does not draw."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from backbone.model.messages import Report, WorkItem
from backbone.model.states import ENDED, TRANSITIONS, ExecutionStatus
from backbone.store import executions
from backbone.store.queries import sql
from dispatcher import rescue, settle
from dispatcher.rescue import ExpiredLease
from tests.support.by_hand import Hand, finished, progressed, started
from tests.support.running import QUICK, Running, running


@pytest.fixture
async def here(database: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database, tmp_path, "", triggers=(), roles=()) as here:
        yield here


class Chaos:
    """Does at random whatever any part may do to executions, in any order."""

    def __init__(self, here: Running, connection: asyncpg.Connection, items: Sequence[WorkItem], seed: int) -> None:
        self._here = here
        self._connection = connection
        self._items = {item.execution_id: item for item in items}
        self._chance = random.Random(seed)
        self.reruns = 0

    async def step(self) -> None:
        await self._chance.choice([self._report, self._report, self._take, self._enqueue, self._rescue, self._person])()

    def _some(self) -> list[UUID]:
        return self._chance.sample(list(self._items), self._chance.randint(1, 10))

    async def _now(self) -> list[dict[str, Any]]:
        return await self._here.rows(
            "SELECT id, attempt, status::text, max_attempts FROM execution WHERE id = ANY ($1)", self._some()
        )

    async def _report(self) -> None:
        reports: list[Report] = []
        for one in await self._now():
            attempt = max(1, one["attempt"] + self._chance.choice([-1, 0, 0, 0, 0, 1]))
            item = msgspec.structs.replace(self._items[one["id"]], attempt=attempt)
            end = self._chance.choice(["success", "failed", "failed", "terminated", "rerun", "nonsense"])
            kinds: list[Report] = [started(item), progressed(item), finished(item, end)]
            reports += self._chance.sample(kinds, self._chance.randint(1, 3))
        outcome = settle.decide(reports, QUICK, datetime.now(UTC), self._chance.random)
        await settle.write(self._connection, outcome)

    async def _take(self) -> None:
        await self._connection.fetch(sql("work/take"), self._here.service.id, uuid4(), self._chance.randint(1, 10))

    async def _enqueue(self) -> None:
        items = await executions.due(self._connection, {self._here.service.id: self._chance.randint(1, 10)})
        await executions.confirm(self._connection, items, queue_too=True)

    async def _rescue(self) -> None:
        """Also with what was true a moment ago."""
        leases = [
            ExpiredLease(
                execution_id=one["id"],
                attempt=max(1, one["attempt"] - self._chance.choice([0, 0, 1])),
                status=self._chance.choice([ExecutionStatus(one["status"]), *ExecutionStatus]),
                max_attempts=one["max_attempts"],
                on_reset=self._chance.choice(["rerun", "failed"]),
            )
            for one in await self._now()
        ]
        await rescue.act(self._connection, rescue.decide(leases, datetime.now(UTC)))

    async def _person(self) -> None:
        for execution_id in self._some()[:3]:
            if self._chance.random() < 0.5:
                self.reruns += len(await self._connection.fetch(sql("execution/rerun"), execution_id, 3))
            else:
                await self._connection.fetch(sql("execution/cancel waiting"), execution_id, "by a person")


@pytest.mark.parametrize("seed", range(4))
async def test_the_database_makes_no_step_that_the_model_does_not_draw(here: Running, seed: int) -> None:
    """PostgreSQL itself writes down every change of a status, whoever made it."""
    await here.rows("CREATE TABLE step (old text, new text)")
    await here.rows(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO step VALUES (OLD.status, NEW.status); RETURN NULL; END$$"
    )
    await here.rows(
        "CREATE TRIGGER note AFTER UPDATE ON execution FOR EACH ROW"
        " WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION note()"
    )
    items = await Hand(here).begin(30)
    async with here.parts.database.lane(durable=False, hashes=True) as connection:
        chaos = Chaos(here, connection, items, seed)
        for _ in range(150):
            await chaos.step()
    steps = [
        (ExecutionStatus(step["old"]), ExecutionStatus(step["new"])) for step in await here.rows("SELECT * FROM step")
    ]
    assert {(old, new) for old, new in steps if new not in TRANSITIONS[old]} == set()
    assert sum(old in ENDED for old, _ in steps) == chaos.reruns > 0
    assert len(set(steps)) > 10
