"""The command line and a running engine: what is deployed, applied, looked at and tried before any event comes."""

from __future__ import annotations

import json

import pytest

from backbone.store import migrations
from tests.support.typist import MAIN, Typist


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
    typist.told("match", "--event", "-", "--project", typist.project, input="\n".join([json.dumps(typist.event())] * 2))
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


def test_check_tells_that_database_and_gateway_of_the_folder_are_well(typist: Typist) -> None:
    found = typist.answered("check")
    assert [(one["server"], one["well"]) for one in found["servers"]] == [("PostgreSQL", True), ("gateway", True)]
    assert found["servers"][0]["facts"]["migration"] == max(migrations.known())
    assert found["servers"][1]["facts"]["tokenTaken"] is True
