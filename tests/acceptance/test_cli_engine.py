"""The command line and a running engine: publish, look, run again, by the clock too, and ask the ledger why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from backbone.model import causation
from backbone.model.causation import Causation, Link
from tests.support.engine import Engine
from tests.support.profiles import Environment
from tests.support.typist import KEEP_EVENTS, Typist


@pytest.fixture(scope="module")
def settings() -> Environment:
    return KEEP_EVENTS


Lines = Callable[[list[dict[str, Any]]], str]


def as_lines(events: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(event) for event in events)


def as_cloud_events(events: list[dict[str, Any]]) -> str:
    return json.dumps(
        [
            {
                "specversion": "1.0",
                "id": event["id"],
                "source": "test",
                "type": f"com.example.{event['resource']}.{event['action']}",
                "subject": event["entity"]["id"],
                "data": event["entity"],
            }
            for event in events
        ]
    )


@pytest.mark.parametrize(
    "shape", [as_lines, json.dumps, lambda events: json.dumps({"events": events}, indent=2), as_cloud_events]
)
def test_events_are_published_from_every_shape_of_a_file(typist: Typist, shape: Lines) -> None:
    events = [typist.event() for _ in range(7)]
    file = typist.written("events.json", shape(events))
    assert typist.told("publish", file, "--project", typist.project, "--batch", "3") == "7 accepted, 0 refused\n"
    typist.until_carried()
    found = typist.answered("events", "show", events[6]["id"], "--project", typist.project)
    assert found["entity"] == events[6]["entity"]


def test_what_is_refused_is_told_with_its_line_and_kept_and_the_rest_is_taken(typist: Typist) -> None:
    nameless = {"resource": "Item", "action": "Created", "entity": {"mark": typist.project}}
    lines = [json.dumps(typist.event()), "{broken", "", json.dumps(nameless), json.dumps(typist.event())]
    done = typist.typed("publish", "-", "--project", typist.project, "--batch", "2", input="\n".join(lines))
    assert (done.returncode, done.stdout) == (2, "2 accepted, 2 refused\n")
    assert "error: line 2: " in done.stderr
    assert "error: line 4: entity.id: is missing" in done.stderr

    letters = typist.answered("dead-letters", "list", "--limit", "50")
    kept = [letter for letter in letters if letter["projectId"] == typist.project]
    assert [letter["path"] for letter in kept] == ["entity.id", ""]
    identity = str(kept[0]["id"])
    assert typist.project in typist.told("dead-letters", "show", identity)
    again = typist.typed("dead-letters", "replay", identity)
    assert again.returncode == 2
    assert f"dead letter {identity}: entity.id: is missing" in again.stderr
    typist.told("dead-letters", "drop", identity)
    assert typist.typed("dead-letters", "show", identity).returncode == 3


def test_an_event_beyond_every_bound_is_refused_alone(typist: Typist) -> None:
    large = typist.event(previous={"text": "x" * 9_000_000})
    done = typist.typed("publish", "-", input=as_lines([typist.event(), large, typist.event()]))
    assert (done.returncode, done.stdout) == (2, "2 accepted, 1 refused\n")
    assert "error: line 2: " in done.stderr


def test_a_cron_trigger_is_applied_looked_at_and_run(typist: Typist) -> None:
    typist.deployed()
    operation = {"service": "gray", "functionName": "run"}
    spec = {"cron": "0 9 1 1 *", "input": {"item": "i1"}, "timezone": "Asia/Tokyo", "operation": operation}
    file = typist.written("t.json", {"name": "yearly", "project": typist.project, "type": "Cron", "spec": spec})
    assert "1 create" in typist.told("triggers", "apply", file)
    named = ("yearly", "--project", typist.project)
    told = typist.told("triggers", "next", *named, "-n", "2").splitlines()
    assert told[0] == "at 09:00 on the 1st of the month in January, Asia/Tokyo"
    assert told[1].split() == ["UTC", "Asia/Tokyo"]
    assert told[2].split()[1::2] == ["00:00:00", "09:00:00"]
    execution_id = typist.told("triggers", "run", *named).strip()
    typist.told("executions", "watch", "--trigger", "yearly", "--until-idle")
    (run,) = typist.answered("executions", "list", "--trigger", "yearly")
    assert (run["id"], run["input"], run["output"]) == (execution_id, {"item": "i1"}, {"item": "i1"})
    assert "Asia/Tokyo" in typist.told("triggers", "list", "--project", typist.project)
    assert "fires next" in typist.told("triggers", "show", *named)
    assert typist.answered("triggers", "missed", *named) == []


def test_a_cron_trigger_of_seconds_fires_until_it_is_paused(typist: Typist, engine: Engine) -> None:
    typist.deployed()
    operation = {"service": "gray", "functionName": "run"}
    spec = {"cron": "* * * * * *", "input": {"item": "a tick"}, "operation": operation}
    file = typist.written("t.json", {"name": "ticks", "project": typist.project, "type": "Cron", "spec": spec})
    typist.told("triggers", "apply", file)
    named = ("ticks", "--project", typist.project)
    trigger = typist.answered("triggers", "show", *named)["id"]
    succeeded = "SELECT count(*) >= 3 FROM execution WHERE trigger_id = $1 AND status = 'success'"
    asyncio.run(engine.until(succeeded, trigger))

    assert typist.told("triggers", "pause", *named) == "trigger 'ticks' is paused\n"
    typist.until_idle()
    ran = typist.executions("--trigger", trigger)
    assert {one["latestStatus"]["output"]["item"] for one in ran} == {"a tick"}
    paused = asyncio.run(engine.value("SELECT now()"))
    asyncio.run(engine.until("SELECT now() > $1::timestamptz + interval '2.5 s'", paused))
    assert typist.executions("--trigger", trigger) == ran


def test_a_trigger_of_every_project_is_applied_listed_exported_and_tried(typist: Typist) -> None:
    typist.deployed()
    service = typist.answered("services", "list", "--project", typist.project)[0]["id"]
    name = f"every {typist.project}"
    wide = {**typist.trigger(name, operation={"service": service}), "global": True}
    del wide["project"]
    file = typist.written("wide.json", wide)
    assert f"create  trigger {name!r} of every project" in typist.told("triggers", "apply", file)
    assert "1 unchanged" in typist.told("triggers", "apply", file)
    assert "(every)" in typist.told("triggers", "list")
    (exported,) = [one for one in json.loads(typist.told("triggers", "export"))["triggers"] if one["name"] == name]
    assert (exported["global"], "project" in exported) == (True, False)
    events = [typist.event(id="e1"), typist.event(id="e2", action="Deleted")]
    printed = typist.told("match", "--event", "-", "--project", typist.project, input=as_lines(events))
    assert printed.splitlines()[0] == f"line 1  e1  {name}"
    typist.published(*events)
    typist.until_idle()
    assert len(typist.executions()) == 1
    typist.told("triggers", "delete", name)


def test_an_event_becomes_an_execution_that_can_be_looked_at_and_run_again(typist: Typist) -> None:
    typist.deployed()
    typist.told("triggers", "apply", typist.written("t.json", typist.trigger()))
    events = [typist.event(), typist.event("video/mp4")]
    typist.published(*events)
    assert "success" in typist.until_idle()

    (execution,) = typist.executions("--status", "success", "--trigger", "grayscale")
    identity = execution["id"]
    table = typist.told("executions", "list", "--project", typist.project)
    assert table.splitlines()[0].split() == ["ID", "STATUS", "RUNS", "TRIGGER", "CREATED", "TOOK"]
    assert f"{identity}  success  gray.run  grayscale" in table
    shown = typist.told("executions", "show", identity)
    assert events[0]["entity"]["id"] in shown
    assert "in-progress" in shown
    assert f"got {events[0]['entity']['id']}" in typist.told("executions", "logs", identity, "--follow")

    typist.told("executions", "rerun", identity)
    typist.until_idle()
    assert typist.answered("executions", "show", identity)["latestStatus"]["status"] == "success"


def test_a_function_is_run_without_an_event_and_its_failure_is_told(typist: Typist) -> None:
    typist.deployed()
    typist.written("gray/service.json", {"maxAttempts": 1})
    typist.deployed()
    run = ("executions", "run", "gray", "--project", typist.project)
    greeted = typist.told(*run, "--input", '{"item": "x"}').strip()
    failed = typist.told(*run, "--function", "fail").strip()
    typist.until_idle()
    assert typist.answered("executions", "show", greeted)["latestStatus"]["output"] == {"item": "x"}
    shown = typist.told("executions", "show", failed)
    assert "ValueError: on purpose" in shown
    assert [execution["id"] for execution in typist.executions("--status", "failed")] == [failed]


def test_an_execution_is_asked_to_end(typist: Typist) -> None:
    typist.deployed()
    identity = typist.told("executions", "run", "gray", "--function", "wait", "--project", typist.project).strip()
    typist.told("executions", "terminate", identity)
    typist.until_idle()
    assert typist.answered("executions", "show", identity)["toTerminate"] is True


def test_an_execution_that_runs_is_not_run_again(typist: Typist) -> None:
    typist.deployed()
    identity = typist.told("executions", "run", "gray", "--function", "wait", "--project", typist.project).strip()
    done = typist.typed("executions", "rerun", identity)
    typist.told("executions", "terminate", identity)
    assert done.returncode == 4


def test_a_loop_that_was_stopped_is_shown_with_its_chain_and_let_go_on(typist: Typist, engine: Engine) -> None:
    typist.deployed()
    typist.told("triggers", "apply", typist.written("t.json", typist.trigger()))
    (trigger,) = typist.answered("triggers", "list", "--project", typist.project)
    key = asyncio.run(engine.value("SELECT key FROM signing_key"))
    led = causation.signed(Causation((Link("e-0", trigger["id"], "x-0"),)), key)
    events = [typist.event(causation=msgspec.to_builtins(led)), typist.event()]
    typist.published(*events)
    typist.until_idle()
    assert len(typist.executions()) == 1
    (incident,) = typist.answered("incidents", "list", "--project", typist.project)
    assert (incident["eventId"], incident["triggerName"]) == (events[0]["id"], "grayscale")
    assert "grayscale > grayscale" in typist.told("incidents", "list", "--project", typist.project)
    shown = typist.told("incidents", "show", str(incident["id"]))
    for said in ("event e-0", "matched trigger grayscale", "began execution x-0", f"event {events[0]['id']}"):
        assert said in shown
    assert "is released; 1 matches go on" in typist.told("incidents", "release", str(incident["id"]))
    asyncio.run(engine.until("SELECT EXISTS (SELECT FROM execution WHERE event_id = $1)", events[0]["id"]))
    # The next one is stopped again, until somebody says that it is no loop.
    typist.published(typist.event(causation=msgspec.to_builtins(led)))
    again = typist.answered("incidents", "list", "--project", typist.project)[0]
    assert "is allowed; 1 matches go on" in typist.told("incidents", "allow", str(again["id"]))
    assert typist.typed("incidents", "release", "999999999").returncode == 3


def test_the_ledger_tells_what_a_trigger_was_what_it_has_claimed_and_why_it_did_not_fire(typist: Typist) -> None:
    typist.deployed()
    typist.told("triggers", "apply", typist.written("trigger.json", typist.trigger()))
    here = ("--project", typist.project)
    fired, missed = typist.event(), typist.event("text/plain")
    typist.published(fired, missed)
    typist.until_idle()
    told = typist.told("explain", missed["id"], *here)
    assert 'grayscale: metadata.system.mimetype is "text/plain"; the filter asks for $eq "image/*"' in told
    why = typist.told("triggers", "why", "grayscale", *here)
    assert f"{fired['id']}: execution " in why
    assert why.endswith("2 events: 1 fired, 1 filter\n")

    again, entity = typist.event(entity=fired["entity"]), fired["entity"]["id"]
    typist.published(again)
    assert f"claimed  grayscale: Once: event {fired['id']} claimed" in typist.told("explain", again["id"], *here)
    (claim,) = typist.answered("claims", "list", "--trigger", "grayscale", *here)
    assert (claim["eventId"], claim["entityId"]) == (fired["id"], entity)
    reset = ("claims", "reset", "--entity", entity, *here, "--reason", "to try it", "--filter", '{"id": "*"}')
    assert typist.told(*reset) == "1 claims were freed\n"
    changed = typist.written("trigger.json", typist.trigger(filter={}))
    assert "0 claims of trigger 'grayscale' were freed" in typist.told("triggers", "apply", changed, "--reset-claims")
    assert "to try it" in typist.told("claims", "show", "grayscale", entity, *here)
    history = typist.told("triggers", "history", "grayscale", *here)
    assert 'spec.filter: {"metadata.system.mimetype":"image/*"}  ->  {}' in history
