"""A line of the log: a sentence that never changes, and fields."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from backbone.kit import logs
from backbone.kit.logs import Format


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def said(capsys: pytest.CaptureFixture[str], form: Format, message: str, **fields: object) -> str:
    logs.configure("engine", form=form)
    logging.getLogger("anybody").warning(message, extra=fields)
    return capsys.readouterr().err


def test_a_line_of_text_has_its_part_its_sentence_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    line = said(capsys, "text", "loop broke", loop="match", reason="it is late", empty="", count=3)
    assert line[8:] == " engine       WARNING loop broke loop=match reason='it is late' empty='' count=3\n"


def test_a_line_of_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    execution = UUID(int=7)
    line = json.loads(said(capsys, "json", "loop broke", loop="match", execution=execution, many={1: "x"}))
    assert datetime.fromisoformat(line.pop("time")).tzinfo == UTC
    assert line == {
        "level": "warning",
        "part": "engine",
        "event": "loop broke",
        "loop": "match",
        "execution": str(execution),
        "many": {"1": "x"},
    }


@pytest.mark.parametrize("value", ["\ud800", 2**70, float("nan"), b"\xff", {"x": {1, 2}}])
def test_whatever_a_field_holds_the_line_is_written(capsys: pytest.CaptureFixture[str], value: object) -> None:
    line = json.loads(said(capsys, "json", "odd", value=value))
    assert line["event"] == "odd"
    assert "value" in line


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_traceback_is_there(capsys: pytest.CaptureFixture[str], form: Format) -> None:
    logs.configure("engine", form=form)
    try:
        raise ValueError("no luck")
    except ValueError:
        logging.getLogger("anybody").exception("broke")
    text = capsys.readouterr().err
    assert "ValueError: no luck" in text
    assert form == "text" or "ValueError: no luck" in json.loads(text)["traceback"]


def test_what_others_chatter_is_left_out_and_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("engine", level="warning")
    logging.getLogger("httpx").info("HTTP Request: GET")
    logging.getLogger("anybody").info("not wanted")
    logging.getLogger("anybody").error("wanted")
    assert capsys.readouterr().err.count("\n") == 1
