"""The key that signs chains of executions (`backbone/model/causation.py`). It never leaves the engine's own parts."""

from __future__ import annotations

from backbone.store.database import Database
from backbone.store.queries import sql


class SigningKey:
    """Asked for once a process, when it is first needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key: bytes | None = None

    async def get(self) -> bytes:
        if self._key is None:
            self._key = bytes(await self._database.pool.fetchval(sql("signing/key")))
        return self._key
