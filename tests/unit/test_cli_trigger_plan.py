"""What `triggers apply` would change."""

from __future__ import annotations

from typing import Any

import pytest

from backbone.model.errors import InvalidTrigger, NotFound
from backbone.model.resources import Catalog
from launcher.cli.declaring import files, plan

SERVICES = [{"id": "s1", "name": "gray", "projectId": "p1"}, {"id": "s2", "name": "blur", "projectId": "p1"}]


def declared(name: str = "a", project: str | None = "demo", service: str = "gray", **said: Any) -> files.Declared:
    spec = {
        "resource": "Item",
        "actions": said.pop("actions", ["Created"]),
        "filter": said.pop("filter", {"hidden": False}),
        "operation": {"service": service},
    }
    place = {"global": True} if project is None else {"project": project}
    document = {"name": name, **place, "spec": spec, **said}
    checked = files.check([files.Written("t.json", document)], Catalog())
    assert checked.problems == []
    return checked.declared[0]


def stored(name: str = "a", **changed: Any) -> dict[str, Any]:
    spec = {
        "resource": "Item",
        "actions": ["Created"],
        "filter": {"hidden": False},
        "executionMode": "Once",
        "input": {},
        "operation": {"type": "function", "serviceId": "s1", "functionName": "run"},
    }
    active = changed.pop("active", True)
    return {"id": f"t-{name}", "name": name, "projectId": "p1", "active": active, "spec": {**spec, **changed}}


def there(*triggers: dict[str, Any]) -> plan.Present:
    return plan.Present({"demo": "p1"}, SERVICES, triggers)


def test_what_is_not_there_is_created() -> None:
    (change,) = plan.changes([declared()], there(), prune=False)
    assert (change.verb, change.name) == ("create", "a")
    assert change.body is not None
    assert change.body["spec"]["operation"]["serviceId"] == "s1"


def test_the_same_again_changes_nothing() -> None:
    (change,) = plan.changes([declared()], there(stored()), prune=False)
    assert (change.verb, change.differences) == ("unchanged", ())


def test_a_change_is_told_field_by_field() -> None:
    wanted = declared(service="blur", filter={"hidden": 0})
    (change,) = plan.changes([wanted], there(stored()), prune=False)
    assert (change.verb, change.id) == ("update", "t-a")
    assert change.differences == (
        plan.Difference("spec.filter", {"hidden": False}, {"hidden": 0}),
        plan.Difference("spec.operation.service", "gray", "blur"),
    )


def test_the_order_of_actions_and_of_a_filters_keys_is_no_change() -> None:
    wanted = declared(actions=["Updated", "Created"], filter={"b": 1, "a": 2})
    before = stored(actions=["Created", "Updated"], filter={"a": 2, "b": 1})
    (change,) = plan.changes([wanted], there(before), prune=False)
    assert change.verb == "unchanged"


def test_a_paused_trigger_stays_paused_unless_its_file_says_otherwise() -> None:
    (silent,) = plan.changes([declared()], there(stored(active=False)), prune=False)
    (saying,) = plan.changes([declared(active=True)], there(stored(active=False)), prune=False)
    assert silent.verb == "unchanged"
    assert saying.differences == (plan.Difference("active", False, True),)


def test_prune_deletes_what_no_file_has_and_only_there() -> None:
    elsewhere = {**stored("c"), "projectId": "p2"}
    changes = plan.changes([declared()], there(stored(), stored("b"), elsewhere), prune=True)
    assert [(change.verb, change.name) for change in changes] == [("unchanged", "a"), ("delete", "b")]


def test_without_prune_nothing_is_deleted() -> None:
    changes = plan.changes([declared()], there(stored("b")), prune=False)
    assert [change.verb for change in changes] == ["create"]


def test_a_service_that_is_not_there_is_told_before_anything_is_done() -> None:
    with pytest.raises(NotFound, match="'green'"):
        plan.changes([declared(), declared("b", service="green")], there(), prune=False)


def test_a_service_of_another_project_is_reached_by_its_id_only() -> None:
    present = plan.Present({"demo": "p1", "other": "p2"}, SERVICES, ())
    with pytest.raises(NotFound):
        plan.changes([declared(project="other")], present, prune=False)
    (change,) = plan.changes([declared(project="other", service="s1")], present, prune=False)
    assert change.verb == "create"


def test_a_name_that_stands_twice_in_the_engine_is_not_guessed_about() -> None:
    with pytest.raises(InvalidTrigger, match="names 2 triggers"):
        plan.changes([declared()], there(stored(), {**stored(), "id": "t-2"}), prune=False)


def test_what_is_exported_is_what_apply_takes_and_changes_nothing() -> None:
    triggers = [stored(), stored("b", executionMode="Once", input={"width": 3})]
    document = plan.exported(triggers, {"p1": "demo"}, {"s1": "gray", "s2": "blur"})
    checked = files.check(files.inside(document, "t.json"), Catalog())
    assert checked.problems == []
    changes = plan.changes(checked.declared, there(*triggers), prune=True)
    assert [change.verb for change in changes] == ["unchanged", "unchanged"]


def everywhere(name: str = "a", **changed: Any) -> dict[str, Any]:
    return {**stored(name, **changed), "id": f"e-{name}", "projectId": None}


def test_a_trigger_of_every_project_is_found_among_those_and_not_in_a_project() -> None:
    (new,) = plan.changes([declared(project=None)], there(stored()), prune=False)
    assert (new.verb, new.body and new.body["global"], "project" in (new.body or {})) == ("create", True, False)
    (same,) = plan.changes([declared(project=None)], there(stored(), everywhere()), prune=False)
    assert (same.verb, same.id) == ("unchanged", "e-a")
    (of_a_project,) = plan.changes([declared(project="unknown", service="s1")], there(everywhere()), prune=False)
    assert of_a_project.verb == "create"


def test_prune_deletes_triggers_of_every_project_where_a_file_names_such() -> None:
    present = there(stored(), everywhere(), everywhere("b"))
    assert [change.id for change in plan.changes([declared()], present, prune=True)] == ["t-a"]
    assert [change.id for change in plan.changes([declared(project=None)], present, prune=True)] == ["e-a", "e-b"]
    in_a_new_project = plan.changes([declared(project="unknown", service="s1")], present, prune=True)
    assert [change.verb for change in in_a_new_project] == ["create"]


def test_a_project_named_by_its_name_and_by_its_id_is_pruned_as_one() -> None:
    named = [declared(), declared("b", project="p1")]
    changes = plan.changes(named, there(stored(), stored("b"), stored("c")), prune=True)
    assert [(change.verb, change.id) for change in changes] == [
        ("unchanged", "t-a"),
        ("unchanged", "t-b"),
        ("delete", "t-c"),
    ]


def test_a_service_of_a_trigger_of_every_project_is_found_by_a_name_that_only_one_has() -> None:
    services = [*SERVICES, {"id": "s3", "name": "gray", "projectId": "p2"}]
    present = plan.Present({"demo": "p1", "other": "p2"}, services, ())
    with pytest.raises(InvalidTrigger, match="'gray' is in several projects; give one of their ids: s1, s3"):
        plan.changes([declared(project=None)], present, prune=False)
    (by_name,) = plan.changes([declared(project=None, service="blur")], present, prune=False)
    assert by_name.body is not None
    assert by_name.body["spec"]["operation"]["serviceId"] == "s2"
    written = files.Written("t.json", {"name": "a", "global": True, "resource": "Item", "actions": "Created"})
    (of_the_folder,) = files.check([written], Catalog(), files.Defaults(project="other", service="gray")).declared
    (change,) = plan.changes([of_the_folder], present, prune=False)
    assert change.body is not None
    assert change.body["spec"]["operation"]["serviceId"] == "s3"


def test_what_is_exported_of_every_project_is_applied_as_the_same() -> None:
    services = {"s1": "gray", "s2": "blur", "s3": "gray"}
    exported = plan.exported([everywhere(), stored("b")], {"p1": "demo"}, services)["triggers"]
    wide, narrow = files.check(files.inside(exported, "f"), Catalog()).declared
    assert (wide.project, wide.service) == (None, "s1")
    assert (narrow.project, narrow.service) == ("demo", "gray")


def clock(**spec: Any) -> files.Declared:
    document = {"name": "a", "project": "demo", "type": "Cron", "spec": {"operation": {"service": "gray"}, **spec}}
    checked = files.check([files.Written("t.json", document)], Catalog())
    assert checked.problems == []
    return checked.declared[0]


def test_a_cron_trigger_is_planned_told_and_exported_as_any_other() -> None:
    (made,) = plan.changes([clock(cron="0 5 * * *", startAt="2025-01-01T00:00:00")], there(), prune=False)
    assert made.body is not None
    assert (made.verb, made.body["type"], made.body["spec"]["startAt"]) == ("create", "Cron", "2025-01-01T00:00:00Z")
    present = {"id": "t-a", "projectId": "p1", **made.body}
    (same,) = plan.changes([clock(cron="0 5 * * *", startAt="2025-01-01T00:00:00Z")], there(present), prune=False)
    assert same.verb == "unchanged"
    (other,) = plan.changes([clock(cron="0 6 * * *", misfire="all")], there(present), prune=False)
    assert [one.field for one in other.differences] == ["spec.cron", "spec.startAt", "spec.misfire"]
    exported = plan.exported([present], {"p1": "demo"}, {"s1": "gray"})
    (again,) = files.check(files.inside(exported, "exported"), Catalog()).declared
    assert plan.changes([again], there(present), prune=False)[0].verb == "unchanged"


def test_a_trigger_of_events_does_not_become_one_of_the_clock() -> None:
    with pytest.raises(InvalidTrigger, match="'a' is of type 'Event' already, and stays so"):
        plan.changes([clock(cron="0 5 * * *")], there(stored()), prune=False)
