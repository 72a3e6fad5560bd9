"""How a command ends."""

from __future__ import annotations

import click
import pytest

from backbone.model.errors import (
    AlreadyExists,
    InvalidDefinition,
    InvalidFilter,
    NotFound,
    NotInState,
    TriggerEngineError,
    Unavailable,
)
from launcher.cli import exits

ENDINGS: list[tuple[BaseException, int]] = [
    (InvalidFilter("spec.filter.$foo", "is no operator"), 2),
    (InvalidDefinition("name", "is missing"), 2),
    (NotFound("trigger", "gray"), 3),
    (AlreadyExists("service", "gray"), 4),
    (NotInState("execution 1", "success", "only what runs can be ended"), 4),
    (Unavailable("the engine", "no engine answers"), 5),
    (exits.Refused(400, "is missing", "entity.id"), 2),
    (exits.Refused(401, "the token is wrong"), 2),
    (exits.Refused(404, "there is no trigger"), 3),
    (exits.Refused(409, "there is one already"), 4),
    (exits.Refused(500, "a fault"), 1),
    (TriggerEngineError("something else"), 1),
    (RuntimeError("a mistake of ours"), 1),
    (click.UsageError("no such option"), 2),
    (KeyboardInterrupt(), 130),
    (click.Abort(), 130),
]


@pytest.mark.parametrize(("error", "code"), ENDINGS, ids=lambda value: repr(value)[:40])
def test_each_kind_of_error_has_its_exit_code(error: BaseException, code: int) -> None:
    @click.command()
    def command() -> None:
        raise error

    assert exits.run(command, []) == code


def test_a_refusal_is_told_with_its_field(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise exits.Refused(400, "is missing", "entity.id")

    exits.run(command, [])
    assert capsys.readouterr().err == "error: entity.id: is missing\n"


def test_a_command_that_ends_well_ends_with_zero() -> None:
    @click.command()
    def command() -> None:
        pass

    assert exits.run(command, []) == 0
