"""Files with triggers: what is read, and that everything wrong is told at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backbone.model import dql
from backbone.model.errors import Invalid
from backbone.model.resources import Catalog
from launcher.cli import documents
from launcher.cli.declaring import files


def a_trigger(name: str = "gray", **changed: Any) -> dict[str, Any]:
    spec = {
        "resource": "Item",
        "actions": ["Created"],
        "filter": {},
        "operation": {"service": "gray", "functionName": "run"},
    }
    return {"name": name, "spec": spec, **changed}


def check(*triggers: Any, service: str | None = None) -> files.Checked:
    written = [files.Written(f"t.json[{index}]", one) for index, one in enumerate(triggers)]
    return files.check(written, Catalog(), files.Defaults(service=service))


@pytest.mark.parametrize(
    ("document", "places"),
    [
        (a_trigger(), ["t.json"]),
        ([a_trigger(), a_trigger("b")], ["t.json[0]", "t.json[1]"]),
        ({"$schema": "x", "triggers": [a_trigger()]}, ["t.json: triggers[0]"]),
    ],
)
def test_a_file_holds_one_trigger_or_many(document: Any, places: list[str]) -> None:
    assert [written.place for written in files.inside(document, "t.json")] == places


def test_a_field_beside_triggers_is_told() -> None:
    with pytest.raises(Invalid, match=r"triger.*is not a known field"):
        files.inside({"triggers": [], "triger": []}, "t.json")


def test_a_folder_is_its_json_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(a_trigger("b")))
    (tmp_path / "a.json").write_text(json.dumps(a_trigger("a")))
    (tmp_path / "notes.txt").write_text("not a trigger")
    written, problems = files.read([tmp_path])
    assert [one.document["name"] for one in written] == ["a", "b"]
    assert problems == []


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": ')
    (tmp_path / "b.json").write_text(json.dumps(a_trigger("b")))
    written, problems = files.read([tmp_path, tmp_path / "none.json"])
    assert len(written) == 1
    assert f"{tmp_path / 'a.json'}: is not JSON: line 1 column 10" in problems[0]
    assert "none.json: cannot be read" in problems[1]


def test_every_wrong_trigger_is_told_with_its_place_and_field() -> None:
    checked = check(
        a_trigger("well"),
        {**a_trigger("a"), "spec": {"resource": "Itm", "actions": ["Created"]}},
        {**a_trigger("b"), "sepc": {}},
        7,
    )
    assert [declared.name for declared in checked.declared] == ["well"]
    assert checked.problems[0].startswith("t.json[1]: spec.resource: 'Itm' is not a known resource")
    assert checked.problems[1].startswith("t.json[2]: sepc: is not a known field")
    assert checked.problems[2].startswith("t.json[3]: expected an object")


def test_a_name_stands_once_in_a_project() -> None:
    checked = check(a_trigger("a"), a_trigger("a"), a_trigger("a", project="other"))
    assert checked.problems == ["t.json[1]: name: 'a' is also in t.json[0]; a name stands once in a project"]
    assert [declared.project for declared in checked.declared] == ["default", "other"]


def test_a_trigger_needs_a_name_and_a_service() -> None:
    nameless = a_trigger()
    del nameless["name"]
    flat = {"name": "flat", "resource": "Item", "actions": ["Created"]}
    assert [problem.split(":")[1] for problem in check(nameless, flat).problems] == [" name", " service"]
    assert check(flat, service="gray").declared[0].service == "gray"


def test_a_part_of_a_query_that_a_filter_cannot_honour_is_remarked_and_a_join_refused() -> None:
    query = {"filter": {"hidden": False}, "resource": "items", "context": {"datasets": ["d1"]}}
    remarked, refused = a_trigger("remarked"), a_trigger("refused")
    remarked["spec"]["filter"] = query
    refused["spec"]["filter"] = {**query, "join": {"on": {"resource": "annotations"}}}
    checked = check(remarked, refused)
    assert checked.remarks == ["t.json[0]: filter: context is ignored"]
    assert checked.problems == [f"t.json[1]: spec.filter.join: {dql.JOIN}"]


def test_a_key_that_comes_twice_in_a_file_is_told() -> None:
    with pytest.raises(Invalid, match=r'^t\.json: spec\.filter\.size: the key "\$gt" comes twice$'):
        documents.parse(b'{"spec": {"filter": {"size": {"$gt": 1, "$gt": 2}}}}', "t.json")


@pytest.mark.parametrize("content", [b'{"a": NaN}', b"\xff", b"", b"[" * 100_000])
def test_what_is_no_json_is_told_with_the_files_name(content: bytes) -> None:
    with pytest.raises(Invalid, match=r"^t\.json: is not"):
        documents.parse(content, "t.json")
