"""Packages and services as clients and people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.model import definitions
from backbone.model.definitions import Function, FunctionInput, Module, Runtime
from backbone.model.errors import Invalid, InvalidDefinition


def module(**changes: Any) -> Module:
    [found] = definitions.parse_package({"name": "p", "modules": [changes]}).modules
    return found


def service(**changes: Any) -> definitions.ServiceDocument:
    return definitions.parse_service({"name": "s"} | changes)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, []),
        ([], []),
        ({"name": "item", "type": "Item"}, [FunctionInput(name="item", type="Item")]),
        ([{"name": "item", "type": "Item", "mandatory": True}], [FunctionInput(name="item", type="Item")]),
        ([{"name": "size"}], [FunctionInput(name="size", type="Json")]),
    ],
)
def test_inputs_are_a_list_an_object_null_or_left_out(written: object, meant: list[FunctionInput]) -> None:
    assert module(initInputs=written).init_inputs == meant
    assert module(functions=[{"name": "f", "input": written, "output": written}]).functions == [
        Function(name="f", input=meant, output=meant)
    ]


def test_what_a_module_leaves_out_or_sets_to_null_has_its_default() -> None:
    nothing = dict.fromkeys(("name", "entryPoint", "initInputs", "functions"))
    assert module() == module(**nothing) == Module()
    assert module(functions=[dict.fromkeys(("name", "description", "input", "output"))]).functions == [Function()]


def test_a_class_that_is_left_out_is_service_runner_and_null_means_plain_functions() -> None:
    assert module().class_name == "ServiceRunner"
    assert module(className=None).class_name is None


def test_what_this_runtime_has_no_use_for_is_let_through() -> None:
    assert service(driverId=None, botUserName="b", versions={"dtlpy": "1.x"}, secrets=[]).name == "s"
    assert definitions.parse_runtime({"gpu": False, "podType": "regular-s", "autoscaler": None}) == Runtime()


def test_replicas_is_the_older_spelling() -> None:
    assert definitions.parse_runtime({"replicas": 2, "concurrency": 6}) == Runtime(num_replicas=2, concurrency=6)
    assert definitions.parse_runtime({"replicas": 2, "numReplicas": 3}).num_replicas == 3
    assert definitions.parse_runtime(None) == Runtime()


@pytest.mark.parametrize(
    ("written", "meant"), [(None, 7), ("latest", 7), ("1.0.3", 3), (3, 3), ("3", 3), (0, 0), ("1.0.7", 7)]
)
def test_a_revision_is_spelled_as_clients_spell_it(written: str | int | None, meant: int) -> None:
    assert definitions.revision_of(written, latest=7) == meant


@pytest.mark.parametrize("written", ["1.0.8", 8, -1, "", "1.0.", "x", "²", "٣", "9" * 5000])
def test_a_revision_that_is_not_there_is_refused(written: str | int) -> None:
    with pytest.raises(InvalidDefinition, match=r"packageRevision: .{1,70} is not a revision of this package"):
        definitions.revision_of(written, latest=7)


@pytest.mark.parametrize("name", ["a", "default_package", "auto_ml", "My service 1.0", "0", "x" * 100])
def test_a_name_is_what_a_person_would_type(name: str) -> None:
    definitions.check_name(name, "name")


@pytest.mark.parametrize("name", ["", " a", "-a", "a/b", "a\n", "é", "a\x00", "\ud800", "x" * 101, "x" * 100_000])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidDefinition, match="is not a name") as found:
        definitions.check_name(name, "name")
    assert len(found.value.reason) < 300


@pytest.mark.parametrize("entry_point", ["main.py", "src/main.py", "a..b.py", "./main.py"])
def test_an_entry_point_is_a_python_file_of_the_package(entry_point: str) -> None:
    assert module(entryPoint=entry_point).entry_point == entry_point


@pytest.mark.parametrize(
    "entry_point", ["", ".py", "main", "main.pyc", "/main.py", "../main.py", "a/../b.py", "a\\b.py", "a\x00.py"]
)
def test_an_entry_point_elsewhere_is_refused(entry_point: str) -> None:
    with pytest.raises(InvalidDefinition) as found:
        module(entryPoint=entry_point)
    assert found.value.path == "modules[0].entryPoint"


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        ([], "", "expected an object, got an array"),
        ({"modules": [{}]}, "name", "is missing"),
        ({"name": "p"}, "modules", "is missing"),
        ({"name": "p", "modules": []}, "modules", "is empty"),
        ({"name": "p", "modules": {}}, "modules", "expected an array, got an object"),
        ({"name": "p", "modules": [1]}, "modules[0]", "expected an object, got a whole number"),
        ({"name": "p", "modules": [{"functions": [1]}]}, "modules[0].functions[0]", "expected an object"),
        (
            {"name": "p", "modules": [{"functions": [{"input": [{}]}]}]},
            "modules[0].functions[0].input[0].name",
            "is missing",
        ),
        ({"name": "p", "modules": [{"name": "a\x00"}]}, "modules[0].name", "NUL"),
    ],
)
def test_what_is_wrong_with_a_package_is_told_by_its_path(document: object, path: str, reason: str) -> None:
    with pytest.raises(InvalidDefinition) as found:
        definitions.parse_package(document)
    assert (found.value.path, reason in found.value.reason) == (path, True)


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        ({"name": 1}, "name", "expected a string, got a whole number"),
        ({"name": "a/b"}, "name", "is not a name"),
        ({"onReset": "retry"}, "onReset", "'retry' is not known; expected 'failed' or 'rerun'"),
        ({"executionTimeout": 0}, "executionTimeout", "0 is out of range; expected 1 to 604800"),
        ({"executionTimeout": "60"}, "executionTimeout", "expected a whole number, got a string"),
        ({"drainTime": -1}, "drainTime", "expected 0 to 86400"),
        ({"maxAttempts": 101}, "maxAttempts", "expected 1 to 100"),
        ({"runtime": {"concurrency": 0}}, "runtime.concurrency", "expected 1 to 1000"),
        ({"runtime": {"concurrency": True}}, "runtime.concurrency", "expected a whole number, got true or false"),
        ({"runtime": {"replicas": 101}}, "runtime.numReplicas", "expected 1 to 100"),
        ({"runtime": []}, "runtime", "expected an object or null, got an array"),
        ({"triggers": {}}, "triggers", "expected an array, got an object"),
        ({"moduleName": "a\x00"}, "moduleName", "NUL"),
        ({"initParams": {"a": "\ud800"}}, "initParams.a", "half a surrogate pair"),
    ],
)
def test_what_is_wrong_with_a_service_is_told_by_its_path(changes: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(InvalidDefinition) as found:
        service(**changes)
    assert (found.value.path, reason in found.value.reason) == (path, True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["name", "entryPoint", "className", "initInputs", "functions"]), json_values),
    st.dictionaries(st.sampled_from(["name", "description", "input", "output"]), json_values),
    st.dictionaries(st.sampled_from(["name", "runtime", "packageRevision", "triggers", "active"]), json_values),
)
def test_any_json_is_a_definition_or_refused(
    module: dict[str, Any], function: dict[str, Any], service: dict[str, Any]
) -> None:
    documents = ({"functions": [function]} | module, module | {"functions": [function]})
    for parse, document in (
        *((definitions.parse_package, {"name": "p", "modules": [one]}) for one in documents),
        (definitions.parse_service, service),
    ):
        try:
            parse(document)
        except Invalid as error:
            assert isinstance(error, InvalidDefinition)  # noqa: PT017
