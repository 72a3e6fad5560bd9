"""The whole engine as processes: one for the tests of a file that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import engine as engines
from tests.support.engine import Engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Shared: a test works in a project of its own."""
    with engines.running(tmp_path_factory.mktemp("engine") / "data", TRIGGER_ENGINE_LEASE="2s") as engine:
        yield engine
