"""Projects by name or id. They are made on first use, are never renamed and never go, so what is known stays known."""

from __future__ import annotations

from backbone.model.definitions import check_name
from backbone.model.errors import InvalidDefinition, NotFound
from backbone.store import definitions, finding
from backbone.store.database import Database

_MOST_REMEMBERED = 10_000


class ProjectIds:
    def __init__(self, database: Database, *, make: bool, default: str) -> None:
        self._database = database
        self._make = make
        self._default = default
        self._ids: dict[str, str] = {}

    def known(self, key: str | None) -> str | None:
        """The id of a project met before; None when it was not met yet."""
        return self._ids.get(key or self._default)

    async def found(self, key: str | None, connection: definitions.Connection | None = None) -> str:
        """The id of the project of this name or id. Raises NotFound.

        Who holds a connection already gives it: callers that wait for a second one may wait for each other.
        """
        key = key or self._default
        if not _is_name(key):
            raise NotFound("project", key)
        connection = connection or self._database.pool
        return self.known(key) or self._remember(key, (await definitions.project(connection, key)).id)

    async def found_or_made(self, key: str | None) -> str:
        """Raises NotFound for an id that no project has, and where projects are not made by being named."""
        key = key or self._default
        try:
            return await self.found(key)
        except NotFound:
            if not self._make or finding.as_uuid(key) is not None:
                raise
        check_name(key, "project")
        return self._remember(key, (await definitions.make_project(self._database.pool, key)).id)

    def _remember(self, key: str, project_id: str) -> str:
        if len(self._ids) >= _MOST_REMEMBERED:
            self._ids.clear()
        self._ids[key] = project_id
        return project_id


def _is_name(key: str) -> bool:
    try:
        check_name(key, "project")
    except InvalidDefinition:
        return False
    return True
