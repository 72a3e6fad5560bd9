"""The page about triggers by the clock tells the truth: examples read, sentences and figures are the model's."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from backbone.model import cron_expressions, cron_words, schedules, triggers
from backbone.model.fires import MissedReason
from backbone.model.resources import Catalog
from backbone.model.schedules import Misfire, Overlap
from dispatcher import fires
from launcher.cli.declaring import files
from schemas import generate

PAGE = (Path(__file__).parents[2] / "docs" / "cron.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
SENTENCES = re.findall(
    r"^\| `([^`]+)` \| (\S.*) \|$", PAGE.split("says an expression in words")[1].split("##")[0], re.M
)


def test_the_examples_can_be_applied_and_fit_the_schema() -> None:
    for example in EXAMPLES:
        assert files.check(files.inside(example, "example"), Catalog()).problems == []
        jsonschema.Draft202012Validator(generate.schemas(Catalog())["trigger"]).validate(example)


def test_there_are_sentences_to_compare() -> None:
    assert len(SENTENCES) == 5


@pytest.mark.parametrize(("expression", "words"), SENTENCES)
def test_a_sentence_is_the_one_that_stands_beside_its_expression(expression: str, words: str) -> None:
    assert cron_words.sentence(cron_expressions.parse(expression, "cron")) == words


def test_what_is_left_out_is_as_the_table_says() -> None:
    draft = triggers.parse({"type": "Cron", "spec": {"cron": "@daily"}}, Catalog(), strict=True)
    assert draft.schedule is not None
    for field, value in schedules.document(draft.schedule).items():
        assert field in ("cron", "startAt", "endAt") or f"| `{field}` | `{value}` |" in PAGE


def test_the_names_policies_and_reasons_are_all_told() -> None:
    for word in (*cron_expressions.NAMED, *Misfire, *Overlap, *MissedReason):
        assert f"`{word}`" in PAGE


def test_the_figures_are_those_of_the_code() -> None:
    assert timedelta(seconds=30) == fires.ON_TIME
    assert "at most 30 seconds late is on time" in PAGE
    assert fires.MADE_UP_WITHIN[Misfire.ONE] == timedelta(hours=1)
    assert "if it is at most 1 hour late" in PAGE
    assert (fires.MOST_MADE_UP, fires.MADE_UP_WITHIN[Misfire.ALL]) == (100, timedelta(days=1))
    assert "the latest 100 of the last day" in PAGE
    assert fires.MOST_WAITING == 100
    assert "at most 100 go on or wait" in PAGE
    assert f"at most {schedules.JITTER_LIMITS[1]}" in PAGE
