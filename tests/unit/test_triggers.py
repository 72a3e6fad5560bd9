"""Triggers as people write them: read in both spellings, refused by the path of what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.model import triggers
from backbone.model.errors import Invalid, InvalidFilter, InvalidTrigger
from backbone.model.resources import KNOWN, Catalog, ExecutionMode
from backbone.model.triggers import Trigger, TriggerDraft

CATALOG = Catalog()


def spec_form(**spec: Any) -> dict[str, Any]:
    operation = {"type": "function", "serviceId": "s1", "functionName": "gray"}
    return {"name": "n", "spec": {"resource": "Item", "actions": ["Created"], "operation": operation} | spec}


def flat_form(**changes: Any) -> dict[str, Any]:
    return {"name": "n", "resource": "Item", "actions": ["Created"], "function": "gray", "service": "s1"} | changes


def parsed(document: object, *, strict: bool = True) -> TriggerDraft:
    return triggers.parse(document, CATALOG, strict=strict)


def refused(document: object) -> Invalid:
    with pytest.raises((InvalidTrigger, InvalidFilter)) as found:
        parsed(document)
    return found.value


def test_both_spellings_say_the_same() -> None:
    said: dict[str, Any] = {"filter": {"dir": "/train"}, "executionMode": "Once", "input": {"size": 3}}
    assert parsed(spec_form(**said)) == parsed(flat_form(**said))


def test_what_is_not_said_is_the_platforms_default() -> None:
    draft = parsed({"spec": {"resource": "Item", "actions": ["Created"]}})
    assert draft == TriggerDraft(
        name=None,
        project=None,
        service=None,
        function_name="run",
        resource="Item",
        actions=("Created",),
        filter={},
        mode=ExecutionMode.ONCE,
    )


@pytest.mark.parametrize(
    ("resource", "action", "mode"),
    [
        (resource, action, mode)
        for resource, actions in KNOWN.items()
        for action, modes in actions.items()
        for mode in ExecutionMode
    ],
)
def test_every_action_takes_the_modes_it_allows_and_no_other(resource: str, action: str, mode: ExecutionMode) -> None:
    document = spec_form(resource=resource.upper(), actions=[action.lower()], executionMode=mode.value)
    if mode in KNOWN[resource][action]:
        draft = parsed(document)
        assert (draft.resource, draft.actions, draft.mode) == (resource, (action,), mode)
    else:
        error = refused(document)
        assert error.path == "spec.executionMode"
        assert f"{mode.value} is not allowed for {resource}.{action}" in error.reason


def test_one_action_may_stand_without_its_list_and_one_named_twice_is_one() -> None:
    assert parsed(spec_form(actions="Created")).actions == ("Created",)
    assert parsed(spec_form(actions=["Created", "created", "Deleted"])).actions == ("Created", "Deleted")


def test_ids_go_before_names() -> None:
    document = spec_form(operation={"service": "gray", "serviceId": "s1"}) | {"project": "demo", "projectId": "p1"}
    assert (parsed(document).project, parsed(document).service) == ("p1", "s1")


def test_clients_may_send_back_the_whole_entity() -> None:
    now = datetime.now(UTC)
    stored = Trigger(
        id="t1",
        name="n",
        project_id="p1",
        service_id="s1",
        function_name="gray",
        resource="Item",
        actions=("Created",),
        filter={"dir": "/train"},
        mode=ExecutionMode.ONCE,
        input={"size": 3},
        active=False,
        version=7,
        created_at=now,
        updated_at=now,
        creator="me",
    )
    draft = parsed(triggers.document(stored) | {"url": "x", "scope": "project", "special": False}, strict=False)
    for name in ("id", "name", "function_name", "resource", "actions", "filter", "mode", "input", "active"):
        assert getattr(draft, name) == getattr(stored, name)
    assert (draft.project, draft.service) == ("p1", "s1")


def test_a_function_that_is_null_is_run_as_some_clients_send_it() -> None:
    assert parsed(spec_form(operation={"functionName": None})).function_name == "run"


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        (None, "", "expected an object, got null"),
        ([], "", "expected an object, got an array"),
        ({}, "resource", "is missing"),
        ({"spec": None}, "spec", "expected an object, got null"),
        ({"spec": {}}, "spec.resource", "is missing"),
        (spec_form() | {"type": "Evnt"}, "type", "expected 'Event' or 'Cron'"),
        (spec_form() | {"nmae": "x"}, "nmae", "did you mean 'name'?"),
        (spec_form(filtr={}), "spec.filtr", "did you mean 'filter'?"),
        (spec_form(operation={"functionname": "x"}), "spec.operation.functionname", "did you mean 'functionName'?"),
        (flat_form(functionName="x"), "functionName", "did you mean 'function'?"),
        (spec_form(resource="Itm"), "spec.resource", "did you mean 'Item'?"),
        (flat_form(resource="Itm"), "resource", "did you mean 'Item'?"),
        (spec_form(actions=["Created", "Creatd"]), "spec.actions[1]", "did you mean 'Created'?"),
        (spec_form(actions="Creatd"), "spec.actions", "did you mean 'Created'?"),
        (spec_form(actions=[]), "spec.actions", "is empty"),
        (spec_form(actions=[1]), "spec.actions[0]", "expected a string, got a whole number"),
        (spec_form(executionMode="Alwys"), "spec.executionMode", "expected 'Once' or 'Always'"),
        (flat_form(executionMode="always"), "executionMode", "expected 'Once' or 'Always'"),
        (spec_form(filter={"$and": [{"a": {"$gtr": 1}}]}), "spec.filter.$and[0].a.$gtr", "did you mean $gt?"),
        (flat_form(filter=[]), "filter", "a filter is an object"),
        (spec_form(input=[1]), "spec.input", "expected an object"),
        (spec_form(operation={"type": "webhook"}), "spec.operation.type", "expected 'function'"),
        (spec_form() | {"active": "yes"}, "active", "expected true or false, got a string"),
        (spec_form() | {"name": ""}, "name", "expected 1 to 255"),
        (spec_form() | {"name": "x" * 256}, "name", "expected 1 to 255"),
        (spec_form() | {"name": "a\x00b"}, "name", "NUL"),
        (spec_form() | {"name": "\ud800"}, "name", "half a surrogate pair"),
        (spec_form(operation={"service": "a\x00b"}), "spec.operation.service", "NUL"),
        (spec_form(input={"a": {"\ud800": 1}}), "spec.input.a", "half a surrogate pair"),
        (spec_form(filter={"a": ["\udfff"]}), "spec.filter.a[0]", "half a surrogate pair"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(document: object, path: str, reason: str) -> None:
    error = refused(document)
    assert error.path == path
    assert reason in error.reason


def test_a_name_that_is_long_is_not_repeated_in_full() -> None:
    for document in (
        spec_form(resource="x" * 10_000),
        spec_form(**{"x" * 10_000: 1}),
        spec_form(executionMode="x" * 10_000),
    ):
        error = refused(document)
        assert len(str(error)) < 500


def test_a_trigger_that_nests_without_end_is_refused() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert isinstance(refused(spec_form(filter=deep)), Invalid)
    assert isinstance(refused(spec_form(input=deep)), Invalid)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["name", "type", "spec", "active", "project", "id", "$schema"]), json_values),
    st.dictionaries(
        st.sampled_from(["resource", "actions", "filter", "executionMode", "input", "operation"]), json_values
    ),
    st.booleans(),
)
def test_any_json_is_a_trigger_or_refused(top: dict[str, Any], spec: dict[str, Any], strict: bool) -> None:
    for document in (spec_form(**spec) | top, flat_form(**top, **spec), top, top | {"spec": spec}):
        try:
            parsed(document, strict=strict)
        except Invalid as error:
            str(error).encode(errors="surrogatepass")
