"""A look at PostgreSQL: as whom we come, what we may do, how far it is migrated, and whether its clock is ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from backbone.kit.addresses import masked
from backbone.model.errors import Unavailable
from backbone.store import migrations
from launcher.checking import reasons
from launcher.checking.finding import Finding, Problem

CLOCKS_APART = timedelta(seconds=2)
"""Leases go by PostgreSQL's clock alone; the times that people read are of both."""

SETTING = "TRIGGER_ENGINE_DATABASE"
_MENDED_IN = reasons.Settings(SETTING, f"sslrootcert in {SETTING}", f"sslcert and sslkey in {SETTING}")

_WHO = """
SELECT current_setting('server_version') AS version, current_database() AS database, current_user AS user,
       has_schema_privilege(current_schema(), 'CREATE') AS may_create_tables, pg_is_in_recovery() AS is_a_copy,
       (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls,
       to_regclass('migration') IS NOT NULL AS is_migrated
"""


async def look(finding: Finding, dsn: str) -> None:
    try:
        connection = await asyncpg.connect(dsn, server_settings={"application_name": "trigger-engine check"})
    except Exception as error:  # any: whatever keeps us out is what is told
        finding.problems.append(_explained(error))
        return
    try:
        finding.reached = True
        who = dict(await connection.fetchrow(_WHO))
        done = (
            [row["name"] for row in await connection.fetch("SELECT name FROM migration")] if who["is_migrated"] else []
        )
        apart = await _clocks_apart(connection)
    finally:
        connection.terminate()
    may, copy = bool(who["may_create_tables"]), who["is_a_copy"]
    finding.facts = {
        "version": who["version"],
        "database": who["database"],
        "user": who["user"],
        "tls": who["tls"],
        "mayCreateTables": may,
        "migration": max(done, default="none"),
        "clockAhead": f"{apart.total_seconds() * 1000:.0f} ms",
    }
    _judge(finding, done, may=may and not copy)
    if copy:
        finding.wrong(
            "it is a copy that only follows another server", f"name the server that is written to in {SETTING}"
        )
    if abs(apart) > CLOCKS_APART:
        finding.wrong(f"its clock differs from ours by {apart.total_seconds():.1f} s", "let both keep time by NTP")


def _judge(finding: Finding, done: list[str], *, may: bool) -> None:
    known = migrations.known()
    if newer := sorted(set(done) - known.keys()):
        finding.wrong(f"it was migrated by a newer version: {', '.join(newer)}", "install that version here")
    elif missing := sorted(known.keys() - set(done)):
        finding.facts["migrationsToCome"] = missing
        if not may:
            finding.wrong(
                f"{finding.facts['user']} may not create the tables of {', '.join(missing)}",
                f"GRANT CREATE ON SCHEMA public TO {finding.facts['user']}, or let an owner migrate",
            )


async def _clocks_apart(connection: asyncpg.Connection) -> timedelta:
    """How far its clock is ahead of ours, to half the time of a question."""
    asked = datetime.now(UTC)
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return theirs - (asked + (datetime.now(UTC) - asked) / 2)


def _explained(error: Exception) -> Problem:
    said = masked(str(error))
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):  # a wrong password is one of these
        return Problem(f"it does not let us in: {said}", f"look at user and password in {SETTING}, and at pg_hba.conf")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return Problem(f"it has no such database: {said}", f"create it, or mend the name in {SETTING}")
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return Problem(f"it has no connection left: {said}", "raise max_connections, or stop who holds them")
    if "rejected SSL upgrade" in said:
        return Problem("it speaks no TLS, and sslmode asks for it", f"turn ssl on there, or mend sslmode in {SETTING}")
    if isinstance(error, asyncpg.ClientConfigurationError):
        return Problem(f"its address cannot be used: {said}", f"mend {SETTING}")
    return reasons.explained(error, _MENDED_IN)


def nowhere(finding: Finding, error: Unavailable) -> None:
    finding.wrong(str(error), f"start it, or name one in {SETTING}")
