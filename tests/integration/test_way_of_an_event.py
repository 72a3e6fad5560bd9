"""From an event in the log to a settled execution, with the real database and a real child process."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from uuid import UUID

import msgspec

from backbone.model import causation
from backbone.model.causation import Causation, Link
from backbone.model.resources import ExecutionMode
from backbone.store import definitions
from tests.support.running import Running, running

ECHO = "def run(item):\n    return {'seen': item['id']}\n"


async def test_an_event_that_matches_is_run_and_settled(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path, ECHO) as here:
        await here.publish(here.event("1", name="a.jpg"))
        (execution,) = await here.until_ended(1)
        assert execution["status"] == "success"
        assert execution["output"] == b'{"seen":"entity-1"}'
        assert execution["attempt"] == 1
        lines = await here.rows("SELECT status FROM status_log ORDER BY number")
        assert [line["status"] for line in lines] == ["in-progress", "success"]
        assert await here.rows("SELECT execution_id FROM lease UNION ALL SELECT execution_id FROM queue") == []


async def test_a_function_and_what_it_starts_find_the_trace_of_the_event(database: str, tmp_path: Path) -> None:
    code = """
    import subprocess, sys
    SAY = [sys.executable, "-c", "import os; print(os.environ.get('TRACEPARENT'), os.environ.get('TRACESTATE'))"]
    def run(item, context):
        said = subprocess.run(SAY, capture_output=True, text=True).stdout.split()
        headers = [context.headers.get(name) for name in ("traceparent", "tracestate")]
        return [[context.traceparent, context.tracestate], headers, said]
    """
    state, trace = "rojo=1,congo=t61", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with running(database, tmp_path, dedent(code)) as here:
        await here.publish(
            here.event("1"),
            msgspec.structs.replace(here.event("2"), traceparent=trace),
            msgspec.structs.replace(here.event("3"), traceparent=trace, tracestate=state),
        )
        found = {execution["event_id"]: json.loads(execution["output"]) for execution in await here.until_ended(3)}
        assert found == {
            "1": [[None, None], [None, None], ["None", "None"]],
            "2": [[trace, None], [trace, None], [trace, "None"]],
            "3": [[trace, state]] * 3,
        }


async def test_once_runs_an_entity_once_and_always_every_event(database: str, tmp_path: Path) -> None:
    triggers = [{"actions": ["Updated"], "mode": mode, "name": mode} for mode in ExecutionMode]
    async with running(database, tmp_path, ECHO, triggers=triggers) as here:
        events = [here.event(str(number), entity_id="the same", action="Updated") for number in range(5)]
        await here.publish(*events)
        await here.publish(*events)
        executions = await here.until_ended(6)
        await carried(here)
        assert len(executions) == 6
        by_name = await here.rows(
            "SELECT name, count(*) FROM execution JOIN trigger ON trigger.id = trigger_id GROUP BY name"
        )
        assert {row["name"]: row["count"] for row in by_name} == {"Once": 1, "Always": 5}


async def test_a_failed_attempt_is_tried_again_up_to_max_attempts(database: str, tmp_path: Path) -> None:
    code = "def run(item):\n    raise ValueError('no luck')\n"
    async with running(database, tmp_path, code, max_attempts=3) as here:
        await here.publish(here.event("1"))
        (execution,) = await here.until_ended(1)
        assert (execution["status"], execution["attempt"]) == ("failed", 3)
        assert "no luck" in execution["message"]
        assert "ValueError" in execution["traceback"]
        lines = await here.rows("SELECT attempt, status FROM status_log ORDER BY attempt, number")
        assert [(line["attempt"], line["status"]) for line in lines] == [
            (attempt, status) for attempt in (1, 2, 3) for status in ("in-progress", "failed")
        ]


async def test_a_trigger_in_the_chain_of_an_event_stops_and_says_so(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path, ECHO) as here:
        await here.publish(here.event("1"))
        (execution,) = await here.until_ended(1)
        assert execution["came_by"] is None
        link = Link(execution["event_id"], execution["trigger_id"], str(execution["id"]))
        chain = Causation((link,))
        await here.publish(msgspec.structs.replace(here.event("2"), causation=chain))
        await here.until("SELECT count(*) = 1 FROM stopped_match")
        (stopped,) = await here.rows("SELECT * FROM stopped_match")
        assert stopped["trigger_id"] == execution["trigger_id"]
        assert causation.decode(stopped["causation"]).chain[0].execution == str(execution["id"])
        assert len(await here.rows("SELECT id FROM execution")) == 1


async def test_an_execution_id_is_the_same_when_the_batch_comes_again(database: str, tmp_path: Path) -> None:
    triggers = [{"actions": ["Updated"], "mode": ExecutionMode.ALWAYS}]
    async with running(database, tmp_path, ECHO, triggers=triggers) as here:
        await here.publish(*(here.event(str(number), action="Updated") for number in range(50)))
        before = {execution["id"] for execution in await here.until_ended(50)}
        # What a crash between the commit of the executions and that of the position leaves behind.
        await here.end("engine")
        await here.parts.database.pool.execute("UPDATE reader SET xid = '0', seq = 0, day = '-infinity'")
        here.start("engine")
        await here.publish(here.event("last", action="Updated"))
        after: set[UUID] = {execution["id"] for execution in await here.until_ended(51)}
        await carried(here)
        assert len(after) == 51
        assert before < after


async def carried(here: Running) -> None:
    """Everything appended so far was carried through the engine."""
    await here.until(
        "SELECT NOT EXISTS (SELECT FROM event, reader WHERE (event.xid, event.seq) > (reader.xid, reader.seq))"
    )


async def test_text_that_postgresql_refuses_ends_in_the_row_all_the_same(database: str, tmp_path: Path) -> None:
    code = (
        "def run(item, progress):\n"
        "    progress.update(message='m\\x00\\ud800')\n"
        "    raise ValueError('a\\x00b\\ud800')\n"
    )
    async with running(database, tmp_path, code) as here:
        await here.publish(here.event("1"))
        (execution,) = await here.until_ended(1)
        assert execution["status"] == "failed"
        assert execution["message"] == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


async def test_what_waits_for_a_deleted_service_is_canceled(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path, ECHO, roles=["engine"]) as here:
        await here.publish(here.event("1"), here.event("2"))
        await here.until("SELECT count(*) = 2 FROM queue")
        await definitions.delete_service(here.parts.database.pool, here.service.id)
        executions = await here.until_ended(2)
        assert {execution["status"] for execution in executions} == {"canceled"}
        assert await here.rows("SELECT execution_id FROM queue UNION ALL SELECT execution_id FROM pending") == []
