"""What every test stands on: a database of its own, and the promise that it leaves nothing running."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import postgres

# A shell that runs the tests in the background has Ctrl-C ignored, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a server with the right to create databases."""
    given = os.environ.get("TRIGGER_ENGINE_TEST_DATABASE")
    if given:
        yield given
    else:
        async with postgres.embedded_server(tmp_path_factory.mktemp("postgres")) as address:
            yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_template(postgres_server: str) -> AsyncIterator[postgres.Template]:
    async with postgres.migrated_template(postgres_server) as template:
        yield template


@pytest_asyncio.fixture
async def database(migrated_template: postgres.Template) -> AsyncIterator[str]:
    """The address of an empty, migrated database that no other test sees."""
    async with postgres.database_of_one_test(migrated_template) as address:
        yield address


@pytest.fixture(autouse=True)
def no_task_left_behind(request: pytest.FixtureRequest) -> None:
    # First set up, last torn down; a test without a loop need not pay for one.
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_task_left_in_the_loop")


@pytest_asyncio.fixture
async def no_task_left_in_the_loop() -> AsyncIterator[None]:
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        pytest.fail(f"tasks left running: {left}", pytrace=False)
