"""What every carrier of reports promises: told until acknowledged, in order, and leases by the store's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from backbone.model import messages
from backbone.model.messages import Finished, Logged, Progressed, Report, Started
from backbone.ports import ReportBatch, Reports
from backbone.store.queries import sql
from tests.support import drivers
from tests.support.drivers import SERVICE, Drivers, queued_items

DRIVERS = ("postgres", "rabbitmq")
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LEASE = timedelta(minutes=1)


@dataclass(frozen=True)
class UnderTest:
    drivers: Drivers
    store: str

    async def ask(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.store)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()


@pytest.fixture(params=DRIVERS)
def under_test(request: pytest.FixtureRequest, database: str) -> UnderTest:
    return UnderTest(request.getfixturevalue(f"on_{request.param}"), database)


@pytest.fixture
async def on_postgres(database: str) -> AsyncIterator[Drivers]:
    async with drivers.postgres(database) as found:
        yield found


@pytest.fixture(params=DRIVERS)
def mortal(request: pytest.FixtureRequest) -> UnderTest:
    found: UnderTest = request.getfixturevalue(f"mortal_{request.param}")
    return found


@pytest.fixture
async def mortal_postgres(tmp_path: Path) -> AsyncIterator[UnderTest]:
    async with drivers.mortal_postgres(tmp_path / "server") as (found, store):
        yield UnderTest(found, store)


@pytest.fixture
def mortal_rabbitmq(mortal_on_rabbitmq: Drivers, database: str) -> UnderTest:
    return UnderTest(mortal_on_rabbitmq, database)


@pytest.fixture
async def reports(under_test: UnderTest) -> AsyncIterator[Reports]:
    async with under_test.drivers.process() as process:
        yield process.reports


def progress(execution_id: UUID, number: int) -> Progressed:
    return Progressed(execution_id=execution_id, attempt=1, number=number, at=NOW, percent=number)


async def receive(reports: Reports, count: int, *, acknowledge: bool = True) -> list[Report]:
    found: list[Report] = []
    async with asyncio.timeout(10), aclosing(reports.receive(3)) as batches:
        async for batch in batches:
            found += batch.reports
            if acknowledge:
                await batch.acknowledge()
            if len(found) >= count or not acknowledge:
                break
    return found


async def next_batch(reports: Reports) -> ReportBatch:
    async with asyncio.timeout(10), aclosing(reports.receive(100)) as batches:
        return await anext(batches)


async def test_every_kind_of_report_comes_back_as_it_was_sent(reports: Reports) -> None:
    execution_id = uuid4()
    sent: Sequence[Report] = [
        Started(execution_id=execution_id, attempt=1, at=NOW),
        Progressed(
            execution_id=execution_id, attempt=1, number=1, at=NOW, status="s", percent=5, message="m", output=b"{}"
        ),
        Logged(execution_id=execution_id, attempt=1, number=1, at=NOW, lines=b"[1]"),
        Finished(
            execution_id=execution_id,
            attempt=1,
            max_attempts=3,
            at=NOW,
            started_at=NOW,
            status="failed",
            duration=1.5,
            message="no",
            traceback="at line 1",
            may_retry=False,
        ),
    ]
    await reports.send(sent)
    assert await receive(reports, 4) == sent


async def test_the_reports_of_an_execution_come_in_their_order(reports: Reports) -> None:
    first, second = uuid4(), uuid4()
    for number in range(50):
        await reports.send([progress(first, number), progress(second, number)])
    found = await receive(reports, 100)
    for execution_id in (first, second):
        assert [one for one in found if one.execution_id == execution_id] == [
            progress(execution_id, number) for number in range(50)
        ]


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(under_test: UnderTest) -> None:
    execution_id = uuid4()
    async with under_test.drivers.process("first") as first:
        await first.reports.send([progress(execution_id, 1)])
        assert await receive(first.reports, 1, acknowledge=False) == [progress(execution_id, 1)]
    async with under_test.drivers.process("second") as second:
        assert await receive(second.reports, 1) == [progress(execution_id, 1)]
        await second.reports.send([progress(execution_id, 2)])
        assert await receive(second.reports, 1) == [progress(execution_id, 2)]


async def test_what_cannot_be_read_is_set_aside_and_blocks_nothing(under_test: UnderTest, reports: Reports) -> None:
    execution_id = uuid4()
    await reports.send([progress(execution_id, 1)])
    for nonsense in (b"nonsense", b"", b"\x91\x92\xa5other\x01", messages.encode_reports([])[:-1] + b"\xc1"):
        await under_test.drivers.append_report(nonsense)
    await reports.send([progress(execution_id, 2)])
    assert await receive(reports, 2) == [progress(execution_id, 1), progress(execution_id, 2)]
    await reports.send([progress(execution_id, 3)])
    assert await receive(reports, 1) == [progress(execution_id, 3)]


async def test_what_a_receiver_had_in_hand_comes_again_in_its_order(under_test: UnderTest, reports: Reports) -> None:
    execution_id = uuid4()
    for number in range(30):
        await reports.send([progress(execution_id, number)])
    async with aclosing(reports.receive(3)) as batches:
        await (await anext(batches)).acknowledge()
        assert (await anext(batches)).reports
    assert await receive(reports, 27) == [progress(execution_id, number) for number in range(3, 30)]


async def test_a_second_receiver_takes_over_when_the_first_is_gone(under_test: UnderTest) -> None:
    execution_id = uuid4()
    async with under_test.drivers.process("first") as first, under_test.drivers.process("second") as second:
        await first.reports.send([progress(execution_id, 1)])
        async with aclosing(first.reports.receive(10)) as batches:
            unacknowledged = await anext(batches)
            waiting = asyncio.create_task(receive(second.reports, 1))
            await under_test.drivers.cut("first")
            assert await waiting == [progress(execution_id, 1)]
            with pytest.raises(under_test.drivers.outage):
                await unacknowledged.acknowledge()


async def test_a_receiver_that_waits_is_told_at_once(under_test: UnderTest, reports: Reports) -> None:
    clock = asyncio.get_running_loop().time
    took = []
    async with under_test.drivers.process("agent") as agent, aclosing(reports.receive(10)) as batches:
        for number in range(11):
            waiting = asyncio.ensure_future(anext(batches))
            began = clock()
            await agent.reports.send([progress(uuid4(), number)])
            await (await waiting).acknowledge()
            took.append(clock() - began)
    assert sorted(took)[5] < 0.5  # who is not told looks after a second


async def test_a_beat_holds_the_leases_for_as_long_as_it_says_by_the_clock_of_the_store(
    under_test: UnderTest, reports: Reports
) -> None:
    session = uuid4()
    await reports.beat(session, SERVICE, LEASE)
    [first] = await under_test.ask("SELECT lease_until - now() AS left, service_id FROM agent_session")
    assert LEASE - timedelta(seconds=5) < first["left"] <= LEASE
    assert first["service_id"] == SERVICE
    await reports.beat(session, SERVICE, LEASE * 2)
    [second] = await under_test.ask("SELECT lease_until - now() AS left FROM agent_session")
    assert second["left"] > LEASE


async def test_who_left_holds_nothing_any_more(under_test: UnderTest, reports: Reports) -> None:
    session = uuid4()
    [item] = await queued_items(under_test.store, 1)
    async with under_test.drivers.process("agent") as agent:
        await reports.beat(session, SERVICE, LEASE)
        await agent.work_queue.put([item])
        await agent.work_queue.take(SERVICE, session, 1)
    expired = sql("work/expired leases")
    assert await under_test.ask(expired, LEASE, 10) == []
    await reports.leave(session)
    assert [row["execution_id"] for row in await under_test.ask(expired, LEASE, 10)] == [item.execution_id]


async def test_what_a_session_began_and_could_not_report_is_its_own_for_as_long_as_it_says_so(
    under_test: UnderTest, reports: Reports
) -> None:
    session = uuid4()
    items = await queued_items(under_test.store, 2)
    async with under_test.drivers.process("agent") as agent:
        await reports.beat(session, SERVICE, LEASE)
        await agent.work_queue.put(items)
        held = [item.execution_id for item in await agent.work_queue.take(SERVICE, session, 2)]
    await under_test.ask("UPDATE lease SET taken_at = now() - interval '1 hour'")
    await reports.beat(session, SERVICE, LEASE, held[:1])
    assert [row["execution_id"] for row in await under_test.ask(sql("work/expired leases"), LEASE, 10)] == held[1:]
    await under_test.ask("UPDATE lease SET taken_at = now() - interval '1 hour'")
    await reports.beat(uuid4(), SERVICE, LEASE, held)  # of what is another's nobody says anything
    assert len(await under_test.ask(sql("work/expired leases"), LEASE, 10)) == 2


async def test_a_beat_tells_what_is_to_be_ended_to_the_session_that_holds_it(
    under_test: UnderTest, reports: Reports
) -> None:
    mine, other = uuid4(), uuid4()
    items = await queued_items(under_test.store, 4)
    for session in (mine, other):
        assert await reports.beat(session, SERVICE, LEASE) == []
    async with under_test.drivers.process("agent") as agent:
        await agent.work_queue.put(items)
        held = [item.execution_id for item in await agent.work_queue.take(SERVICE, mine, 2)]
        held += [item.execution_id for item in await agent.work_queue.take(SERVICE, other, 2)]
    assert await reports.beat(mine, SERVICE, LEASE) == []
    await under_test.ask(sql("execution/ask to terminate"), held[0])
    await under_test.ask(sql("execution/ask to terminate"), held[2])
    assert await reports.beat(mine, SERVICE, LEASE) == [held[0]]
    assert await reports.beat(other, SERVICE, LEASE) == [held[2]]


async def answers(under_test: UnderTest, reports: Reports, session: UUID) -> bool:
    try:
        await reports.beat(session, SERVICE, LEASE)
    except under_test.drivers.outage:
        return False
    return True


async def test_a_dead_server_is_said_and_a_living_one_has_what_was_sent_and_serves_again(mortal: UnderTest) -> None:
    async with mortal.drivers.process() as process:
        reports, session = process.reports, uuid4()
        execution_id = uuid4()
        for number in range(20):
            await reports.send([progress(execution_id, number)])
        await mortal.drivers.kill_server()
        for call in (
            reports.send([progress(uuid4(), 100)]),
            reports.beat(session, SERVICE, LEASE),
            reports.leave(session),
            next_batch(reports),
        ):
            with pytest.raises(mortal.drivers.outage):
                await call
        await mortal.drivers.start_server()
        await reports.send([progress(execution_id, 20)])
        async with asyncio.timeout(60):
            while not await answers(mortal, reports, session):  # as an agent does: nobody may be there to answer yet
                pass
        assert await receive(reports, 21) == [progress(execution_id, number) for number in range(21)]
