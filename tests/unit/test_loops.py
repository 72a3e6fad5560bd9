"""Loops that do not die, and what they say of themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from backbone.kit import loops
from backbone.kit.few_lines import Few
from backbone.kit.loops import Health, keep


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(loops, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(loops.away, "filters", [Few(loops.LINES)])


@asynccontextmanager
async def kept(body: Callable[[], Awaitable[None]], health: Health) -> AsyncIterator[None]:
    task = asyncio.create_task(keep("loop", body, health))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        OSError(111, "refused"),
        asyncpg.InternalClientError("gone"),
        ExceptionGroup("all", [KeyError()]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_loop_is_begun_again_whatever_it_raised(error: Exception) -> None:
    begun = 0

    async def body() -> None:
        nonlocal begun
        begun += 1
        raise error

    health = Health()
    async with kept(body, health):
        await until(lambda: begun >= 3)
        assert not health.ready
        assert health.detail == f"loop: {type(error).__name__}: {error}"


async def test_a_loop_that_returns_is_begun_again() -> None:
    begun = 0

    async def body() -> None:
        nonlocal begun
        begun += 1

    health = Health()
    async with kept(body, health):
        await until(lambda: begun >= 3)
        assert health.detail == "loop: ended"


async def test_the_pauses_grow() -> None:
    clock = asyncio.get_running_loop().time
    begun: list[float] = []

    async def body() -> None:
        begun.append(clock())
        raise ValueError("no")

    async with kept(body, Health()):
        await until(lambda: len(begun) >= 5)
    assert begun[4] - begun[0] >= 0.002 + 0.004 + 0.008 + 0.016


async def test_a_loop_is_well_once_it_has_worked_for_a_while() -> None:
    health = Health()
    async with kept(asyncio.Event().wait, health):  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert health.detail == "loop: starting"
        await until(lambda: health.ready)


async def test_a_loop_that_breaks_again_and_again_is_not_taken_to_be_well_in_between() -> None:
    begun = 0
    was_well = False
    health = Health()

    async def body() -> None:
        nonlocal begun, was_well
        begun += 1
        await asyncio.sleep(0.01)  # longer than the first pause, shorter than the later ones
        was_well = was_well or (begun > 4 and health.ready)
        raise OSError("no server")

    async with kept(body, health):
        await until(lambda: begun >= 6)
    assert not was_well


async def test_a_loop_that_was_told_to_end_is_not_broken() -> None:
    health = Health()

    async def body() -> None:
        raise ValueError("no")

    async with kept(body, health):
        await until(lambda: "no" in health.detail)
    assert health.ready


async def test_health_names_every_loop_that_is_wrong() -> None:
    health = Health()
    health.broken("b", "two")
    health.broken("a", "one")
    assert (health.ready, health.detail) == (False, "a: one; b: two")
    health.well("a")
    health.well("a")
    assert (health.ready, health.detail) == (False, "b: two")
    health.well("b")
    assert (health.ready, health.detail) == (True, "")


async def test_what_broke_is_said_once_and_again_when_it_is_something_else(caplog: pytest.LogCaptureFixture) -> None:
    reasons = iter(["first"] * 3 + ["second"] * 100)
    begun = 0

    async def body() -> None:
        nonlocal begun
        begun += 1
        raise OSError(next(reasons))

    with caplog.at_level(logging.WARNING):
        async with kept(body, Health()):
            await until(lambda: begun >= 6)
    said = [record.__dict__["reason"] for record in caplog.records]
    assert said == ["OSError: first", "OSError: second"]


async def test_a_loop_that_waits_long_before_it_breaks_is_not_taken_to_be_well_meanwhile() -> None:
    begun = 0
    was_well: list[bool] = []
    health = Health()

    async def body() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.2)  # longer than any pause
        was_well.append(health.ready)
        raise TimeoutError("no answer")

    async with kept(body, health):
        await until(lambda: begun >= 4)
    assert was_well == [True, False, False]


async def test_of_what_is_said_of_a_server_that_is_away_a_few_lines_come_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = 0

    async def body() -> None:
        nonlocal begun
        begun += 1
        raise OSError(f"another reason each time: {begun}")

    with caplog.at_level(logging.WARNING):
        async with kept(body, Health()):
            await until(lambda: begun >= 3 * loops.LINES)
    assert len(caplog.records) == loops.LINES


async def test_a_mistake_of_ours_has_a_traceback_and_a_server_that_went_away_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors: list[Exception] = [OSError("gone"), asyncpg.ConnectionDoesNotExistError("gone"), ZeroDivisionError("ours")]
    left = iter(errors)

    async def body() -> None:
        raise next(left, errors[-1])

    with caplog.at_level(logging.WARNING):
        async with kept(body, Health()):
            await until(lambda: len(caplog.records) >= 3)
    assert [bool(record.exc_info) for record in caplog.records] == [False, False, True]
