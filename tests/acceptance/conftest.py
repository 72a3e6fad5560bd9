"""The whole engine as processes: one a profile for the tests of a file that leave it as they found it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import engine as engines
from tests.support.engine import Engine
from tests.support.profiles import Cluster, Embedded, Environment, Profile
from tests.support.typist import Typist


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In both profiles, where no `profiles` of the test or else of its file says otherwise."""
    if "profile" in metafunc.fixturenames:
        chosen = metafunc.definition.get_closest_marker("profiles")
        names = chosen.args if chosen else ("embedded", "cluster")
        metafunc.parametrize("profile", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def profile(request: pytest.FixtureRequest) -> Profile:
    if request.param == "embedded":
        return Embedded()
    return Cluster(request.getfixturevalue("kafka_server"), request.getfixturevalue("rabbitmq_server"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(profile: Profile) -> AsyncIterator[Environment]:
    async with profile.place() as environment:
        yield environment


@pytest_asyncio.fixture
async def own_place(profile: Profile) -> AsyncIterator[Environment]:
    """For the engines that a test starts by itself."""
    async with profile.place() as environment:
        yield environment


@pytest.fixture(scope="module")
def settings() -> Environment:
    """Those of a file's engine."""
    return {}


@pytest.fixture(scope="module")
def engine(place: Environment, settings: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Shared: a test works in a project of its own."""
    data = tmp_path_factory.mktemp("engine") / "data"
    with engines.running(data, TRIGGER_ENGINE_LEASE="2s", **place, **settings) as engine:
        yield engine


@pytest.fixture
def typist(engine: Engine, tmp_path: Path) -> Typist:
    return Typist(engine, tmp_path)
