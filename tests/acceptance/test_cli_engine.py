"""The command line and a running engine: deploy, publish, apply, look, run again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backbone.model import causation
from backbone.model.causation import Causation, Link
from backbone.store import migrations
from tests.support.engine import Engine
from tests.support.typist import MAIN, Typist

# The others end where an event or a definition is in PostgreSQL, in whatever profile.
pytestmark = pytest.mark.profiles("embedded")


@pytest.fixture
def typist(engine: Engine, tmp_path: Path) -> Typist:
    return Typist(engine, tmp_path)


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
    found = typist.answered("events", "show", events[6]["id"], "--project", typist.project)
    assert found["entity"] == events[6]["entity"]


@pytest.mark.profiles("embedded", "cluster")
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


def test_a_deploy_is_repeatable_and_says_what_changed(typist: Typist) -> None:
    folder = typist.written("gray/main.py", MAIN).parent
    typist.written("gray/triggers.json", {"name": "grayscale", "resource": "Item", "actions": ["Created"]})
    deploy = ("deploy", folder, "--project", typist.project)

    tried = typist.told(*deploy, "--dry-run")
    assert "create  package 'gray'" in tried
    assert typist.typed("triggers", "list", "--project", typist.project).returncode == 3

    first = typist.told(*deploy)
    for said in ("create  project", "create  package 'gray'", "revision 1.0.0", "create  service 'gray'", "1 create"):
        assert said in first

    second = typist.told(*deploy)
    assert [line.split()[0] for line in second.splitlines()] == ["unchanged", "unchanged", "unchanged", "1"]

    typist.written("gray/triggers.json", {"name": "grayscale", "resource": "Item", "actions": ["Updated"]})
    third = typist.told(*deploy)
    assert "unchanged  package 'gray', revision 1.0.0" in third
    assert "spec.actions: Created  ->  Updated" in third

    typist.written("gray/main.py", MAIN + "# changed\n")
    typist.written("gray/service.json", {"maxAttempts": 5})
    fourth = typist.told(*deploy)
    for said in ("update  package 'gray'", "packageRevision: 1.0.0  ->  1.0.1", "maxAttempts: 3  ->  5", "1 unchanged"):
        assert said in fourth
    (service,) = typist.answered("services", "list", "--project", typist.project)
    assert (service["packageRevision"], service["maxAttempts"]) == ("1.0.1", 5)


def test_a_deploy_with_a_wrong_trigger_changes_nothing(typist: Typist) -> None:
    folder = typist.written("gray/main.py", MAIN).parent
    typist.written("gray/triggers.json", {"name": "grayscale", "resource": "Itm", "actions": ["Created"]})
    done = typist.typed("deploy", folder, "--project", typist.project)
    assert done.returncode == 2
    assert "triggers.json: resource: 'Itm' is not a known resource" in done.stderr
    assert typist.typed("services", "list", "--project", typist.project).returncode == 3


def test_apply_is_declarative_and_repeatable(typist: Typist) -> None:
    typist.deployed()
    both = {"triggers": [typist.trigger("a"), typist.trigger("b")]}
    file = typist.written("triggers.json", both)
    assert "2 create" in typist.told("triggers", "apply", file, "--dry-run")
    assert typist.answered("triggers", "list", "--project", typist.project) == []
    assert "2 create" in typist.told("triggers", "apply", file)
    assert "2 unchanged" in typist.told("triggers", "apply", file)

    typist.written("triggers.json", typist.trigger("a", filter={"hidden": False}, executionMode="Once"))
    said = typist.told("triggers", "apply", file)
    assert 'spec.filter: {"metadata.system.mimetype":"image/*"}  ->  {"hidden":false}' in said
    assert "1 update" in said

    asked = typist.typed("triggers", "apply", file, "--prune", input="")
    assert asked.returncode == 2
    assert "--prune would delete 1 triggers; nothing was changed" in asked.stderr
    assert len(typist.answered("triggers", "list", "--project", typist.project)) == 2
    assert "1 unchanged, 1 delete" in typist.told("triggers", "apply", file, "--prune", "--yes")
    (left,) = typist.answered("triggers", "list", "--project", typist.project)
    assert (left["name"], left["spec"]["filter"]) == ("a", {"hidden": False})


def test_nothing_is_applied_when_one_is_wrong(typist: Typist) -> None:
    typist.deployed()
    wrong = typist.trigger("b", operation={"service": "nowhere", "functionName": "run"})
    file = typist.written("triggers.json", [typist.trigger("a"), wrong])
    done = typist.typed("triggers", "apply", file)
    assert done.returncode == 3
    assert "'nowhere'" in done.stderr
    assert typist.answered("triggers", "list", "--project", typist.project) == []


def test_what_is_exported_is_applied_without_a_change(typist: Typist) -> None:
    typist.deployed()
    typist.told(
        "triggers", "apply", typist.written("t.json", [typist.trigger("a"), typist.trigger("b", input={"w": 1})])
    )
    exported = typist.told("triggers", "export", "--project", typist.project)
    assert "Id" not in exported
    assert "2 unchanged" in typist.told("triggers", "apply", typist.written("exported.json", exported), "--prune")


def test_a_trigger_is_paused_resumed_and_deleted_by_its_name(typist: Typist) -> None:
    typist.deployed()
    file = typist.written("t.json", typist.trigger())
    typist.told("triggers", "apply", file)
    named = ("grayscale", "--project", typist.project)
    typist.told("triggers", "pause", *named)
    assert "paused" in typist.told("triggers", "show", *named)
    assert "1 unchanged" in typist.told("triggers", "apply", file)
    typist.told("triggers", "resume", *named)
    shown = typist.answered("triggers", "show", *named)
    assert (shown["active"], shown["spec"]["filter"]) == (True, {"metadata.system.mimetype": "image/*"})
    typist.told("triggers", "delete", shown["id"])
    assert typist.typed("triggers", "show", *named).returncode == 3


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
    events = as_lines([typist.event(id="e1"), typist.event(id="e2", action="Deleted")])
    printed = typist.told("match", "--event", "-", "--project", typist.project, input=events)
    assert printed.splitlines()[0] == f"line 1  e1  {name}"
    typist.told("publish", "-", "--project", typist.project, input=events)
    typist.told("executions", "watch", "--until-idle", "--project", typist.project)
    assert len(typist.answered("executions", "list", "--project", typist.project)) == 1
    typist.told("triggers", "delete", name)


def test_a_trigger_of_the_engine_is_explained_and_tried(typist: Typist) -> None:
    typist.deployed()
    typist.told("triggers", "apply", typist.written("t.json", [typist.trigger("a"), typist.trigger("b")]))
    named = ("a", "--project", typist.project)
    printed = typist.told("triggers", "explain", *named)
    assert "with 1 other triggers" in printed
    assert "class       affix: " in printed
    typist.told("triggers", "pause", *named)
    (explained,) = typist.answered("triggers", "explain", *named)
    assert (explained["paused"], explained["places"][0]["others"]) == ("the trigger is not active", 1)
    one = typist.typed("match", "--event", "-", "--project", typist.project, input=json.dumps(typist.event()))
    assert "a: no match: the trigger is not active" in one.stdout
    assert "b: matched" in one.stdout
    typist.told("match", "--event", "-", "--project", typist.project, input=as_lines([typist.event()] * 2))
    elsewhere = {**typist.event(), "project": "default"}
    done = typist.typed("match", "--event", "-", "--project", typist.project, input=json.dumps(elsewhere))
    assert (done.returncode, "the event is of project" in done.stdout) == (1, True)
    assert typist.typed("triggers", "explain", "nobody").returncode == 3


def test_names_of_triggers_are_completed_from_the_engine(typist: Typist) -> None:
    typist.deployed()
    name = f"t-{typist.project}"
    typist.told("triggers", "apply", typist.written("t.json", typist.trigger(name)))
    words = f"trigger-engine triggers show {name[:8]}"
    completed = typist.told(_TRIGGER_ENGINE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="3")
    assert f"plain,{name}" in completed.splitlines()


@pytest.mark.profiles("embedded", "cluster")
def test_an_event_becomes_an_execution_that_can_be_looked_at_and_run_again(typist: Typist) -> None:
    typist.deployed()
    typist.told("triggers", "apply", typist.written("t.json", typist.trigger()))
    events = [typist.event(), typist.event("video/mp4")]
    typist.told("publish", "-", "--project", typist.project, input=as_lines(events))
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


@pytest.mark.profiles("embedded", "cluster")
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


@pytest.mark.profiles("embedded", "cluster")
def test_an_execution_is_asked_to_end(typist: Typist) -> None:
    typist.deployed()
    identity = typist.told("executions", "run", "gray", "--function", "wait", "--project", typist.project).strip()
    typist.told("executions", "terminate", identity)
    typist.until_idle()
    assert typist.answered("executions", "show", identity)["toTerminate"] is True


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("triggers", "show", "none"), 3),
        (("executions", "show", "none"), 3),
        (("executions", "run", "none"), 3),
        (("events", "show", "none"), 3),
        (("dead-letters", "show", "999999999"), 3),
        (("triggers", "list", "--project", "none"), 3),
        (("executions", "run", "none", "--input", "[]"), 2),
    ],
)
def test_what_is_not_there_is_told_by_the_exit_code(typist: Typist, words: tuple[str, ...], code: int) -> None:
    done = typist.typed(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr


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
    typist.told("publish", "-", "--project", typist.project, input=as_lines(events))
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
    another = typist.event(causation=msgspec.to_builtins(led))
    typist.told("publish", "-", "--project", typist.project, input=as_lines([another]))
    asyncio.run(engine.until("SELECT count(*) = 2 FROM incident WHERE trigger_id = $1", trigger["id"]))
    again = typist.answered("incidents", "list", "--project", typist.project)[0]
    assert "is allowed; 1 matches go on" in typist.told("incidents", "allow", str(again["id"]))
    assert typist.typed("incidents", "release", "999999999").returncode == 3


def test_check_tells_that_database_and_gateway_of_the_folder_are_well(typist: Typist) -> None:
    found = typist.answered("check")
    assert [(one["server"], one["well"]) for one in found["servers"]] == [("PostgreSQL", True), ("gateway", True)]
    assert found["servers"][0]["facts"]["migration"] == max(migrations.known())
    assert found["servers"][1]["facts"]["tokenTaken"] is True


def test_the_ledger_tells_what_a_trigger_was_what_it_has_claimed_and_why_it_did_not_fire(typist: Typist) -> None:
    typist.deployed()
    typist.told("triggers", "apply", typist.written("trigger.json", typist.trigger()))
    here = ("--project", typist.project)
    fired, missed = typist.event(), typist.event("text/plain")
    typist.told("publish", typist.written("events.json", [fired, missed]), *here)
    typist.until_idle()
    told = typist.told("explain", missed["id"], *here)
    assert 'grayscale: metadata.system.mimetype is "text/plain"; the filter asks for $eq "image/*"' in told
    why = typist.told("triggers", "why", "grayscale", *here)
    assert f"{fired['id']}: execution " in why
    assert why.endswith("2 events: 1 fired, 1 filter\n")

    entity = fired["entity"]["id"]
    reset = ("claims", "reset", "--entity", entity, *here, "--reason", "to try it", "--filter", '{"id": "*"}')
    assert typist.told(*reset) == "1 claims were freed\n"
    changed = typist.written("trigger.json", typist.trigger(filter={}))
    assert "0 claims of trigger 'grayscale' were freed" in typist.told("triggers", "apply", changed, "--reset-claims")
    assert "to try it" in typist.told("claims", "show", "grayscale", entity, *here)
    history = typist.told("triggers", "history", "grayscale", *here)
    assert 'spec.filter: {"metadata.system.mimetype":"image/*"}  ->  {}' in history
