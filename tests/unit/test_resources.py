"""The catalog: what is known, what a deployment adds, and what to say of everything else."""

from __future__ import annotations

import pytest

from backbone.model.errors import Invalid, InvalidEvent, InvalidTrigger
from backbone.model.resources import KNOWN, Catalog, ExecutionMode

ONCE, ALWAYS = ExecutionMode.ONCE, ExecutionMode.ALWAYS


def test_the_seven_resources_have_the_actions_and_modes_of_the_platform() -> None:
    both = {
        ("Item", "Updated"),
        ("Dataset", "Updated"),
        ("Annotation", "Updated"),
        ("ItemStatus", "Updated"),
        ("ItemStatus", "taskAssigned"),
        ("Model", "Updated"),
    }
    found = {(name, action): modes for name, actions in KNOWN.items() for action, modes in actions.items()}
    assert {pair for pair, modes in found.items() if modes == {ONCE, ALWAYS}} == both
    assert all(found[pair] == {ONCE} for pair in found.keys() - both)
    assert list(KNOWN) == ["Item", "Dataset", "Annotation", "ItemStatus", "Task", "Assignment", "Model"]
    assert {action for _, action in found} == {
        "Created",
        "Updated",
        "Deleted",
        "Clone",
        "statusChanged",
        "taskAssigned",
    }


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("Itm", "did you mean 'Item'?"),
        ("Items", "did you mean 'Item'?"),
        ("anotation", "did you mean 'Annotation'?"),
        ("item_status", "did you mean 'ItemStatus'?"),
        ("Zebra", "known: Item, Dataset, Annotation, ItemStatus, Task, Assignment, Model"),
    ],
)
def test_an_unknown_resource_is_refused_with_the_nearest_name(given: str, near: str) -> None:
    with pytest.raises(InvalidTrigger) as found:
        Catalog().resource(given, "spec.resource")
    assert (found.value.path, found.value.reason) == ("spec.resource", f"{given!r} is not a known resource; {near}")


def test_an_event_is_refused_as_an_event_and_a_trigger_as_a_trigger() -> None:
    with pytest.raises(InvalidEvent) as found:
        Catalog().check_event("Item", "Creatd")
    assert found.value.reason == "'Creatd' is not an action of Item; did you mean 'Created'?"
    with pytest.raises(InvalidTrigger):
        Catalog().spelling("Item", "Creatd", ("resource", "actions[0]"))


def test_a_mode_that_an_action_does_not_allow_is_refused() -> None:
    with pytest.raises(InvalidTrigger, match=r"Always is not allowed for Item\.Created; allowed: Once"):
        Catalog().check_mode("Item", "Created", ALWAYS, "spec.executionMode")
    Catalog().check_mode("Item", "Updated", ALWAYS, "spec.executionMode")


def test_a_deployment_adds_resources_and_actions_that_allow_both_modes() -> None:
    catalog = Catalog.with_additions(["Shipment: Created, lost", "Item:Viewed", "shipment:Found"])
    assert catalog.check_event("shipment", "LOST") == ("Shipment", "lost")
    assert catalog.check_event("Shipment", "Found") == ("Shipment", "Found")
    assert catalog.check_event("item", "viewed") == ("Item", "Viewed")
    catalog.check_mode("Shipment", "Created", ALWAYS, "mode")
    assert list(Catalog().resources) == list(KNOWN)


def test_an_addition_changes_nothing_of_what_is_known() -> None:
    catalog = Catalog.with_additions(["item:created,Updated"])
    assert catalog.resources == KNOWN


@pytest.mark.parametrize(
    "addition", ["", "Shipment", "Shipment:", ":Created", "A:B,,C", "A.B:C", "A:B.C", "A:\x00", "A B:C"]
)
def test_an_addition_that_does_not_read_so_is_refused(addition: str) -> None:
    with pytest.raises(Invalid, match=r"resources: .* does not read Name:Action,Action"):
        Catalog.with_additions([addition])
