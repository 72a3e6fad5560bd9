"""The page about triggers tells the truth: its examples read, its refusals are the engine's, its tables the model's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from backbone.model import triggers
from backbone.model.errors import Invalid
from backbone.model.resources import KNOWN, Catalog, ExecutionMode
from backbone.model.triggers import TriggerDraft
from launcher.cli.declaring import files
from schemas import generate

PAGE = (Path(__file__).parents[2] / "docs" / "triggers.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
REFUSED = re.findall(r"^\| `(\{.*\})` \| `(.*?)` \| (.*) \|$", PAGE, re.MULTILINE)


def parsed(document: object) -> TriggerDraft:
    return triggers.parse(document, Catalog(), strict=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_applied_and_fits_the_schema(example: Any) -> None:
    checked = files.check(files.inside(example, "example"), Catalog())
    assert (checked.problems, checked.remarks) == ([], [])
    jsonschema.Draft202012Validator(generate.schemas(Catalog())["trigger"]).validate(example)


def test_the_flat_form_means_the_same() -> None:
    assert parsed(EXAMPLES[0]) == parsed(EXAMPLES[1])


def test_there_are_refusals_to_test() -> None:
    assert len(REFUSED) == 8


@pytest.mark.parametrize(("written", "path", "reason"), REFUSED)
def test_a_refusal_is_the_one_that_stands_beside_it(written: str, path: str, reason: str) -> None:
    with pytest.raises(Invalid) as found:
        parsed(json.loads(written))
    assert (found.value.path, found.value.reason) == (path, reason)


def test_the_table_of_resources_is_the_models() -> None:
    rows = re.findall(r"^\| (\w+) \| ([\w, ]*?) ?\| ([\w, ]*?) ?\|$", PAGE, re.MULTILINE)
    told = {
        resource: {action: True for action in both.split(", ") if action}
        | {action: False for action in once.split(", ") if action}
        for resource, once, both in rows
        if resource in KNOWN
    }
    assert told == {
        resource: {action: ExecutionMode.ALWAYS in modes for action, modes in actions.items()}
        for resource, actions in KNOWN.items()
    }


def test_what_is_left_out_is_as_the_table_says() -> None:
    draft = parsed({"spec": {"resource": "Item", "actions": ["Created"]}})
    for field, value in {
        "active": draft.active,
        "global": draft.org_wide,
        "spec.executionMode": draft.mode.value,
        "spec.input": draft.input,
        "spec.operation.functionName": draft.function_name,
        "type": "Event",
    }.items():
        written = value if isinstance(value, str) else json.dumps(value)
        assert f"| `{field}` | `{written}` |" in PAGE
    assert f"up to {triggers.MAX_NAME_LENGTH} characters" in PAGE
