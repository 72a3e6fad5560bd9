"""What the command line says of itself: every command explains itself with examples that can be typed."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from launcher import cli
from launcher.cli import exits
from launcher.cli.commands import up
from launcher.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "command-line.md").read_text()
HEAVY = ("asyncpg", "httpx", "uvicorn", "prometheus_client", "msgspec", "watchfiles", "asyncio")


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


EVERY = dict(commands(cli.trigger_engine))


def examples(command: click.Command) -> list[list[str]]:
    _, found, told = (command.help or "").partition("Examples:\n")
    assert found, "the help has no examples"
    lines = told.partition("\n\n")[0].splitlines()
    typed = [re.findall(r"(?:^ +|[(|] ?)(trigger-engine [^|>)]*)", line) for line in lines]
    return [shlex.split(found[-1]) for found in typed if found]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_has_examples_that_can_be_typed(words: tuple[str, ...]) -> None:
    told = examples(EVERY[words])
    assert told
    for _, *typed in told:
        assert tuple(typed[: len(words)]) == words
        command: click.Command = cli.trigger_engine
        with command.make_context("trigger-engine", typed, resilient_parsing=True) as context:
            known = words
            while isinstance(command, click.Group):
                name, found, typed = command.resolve_command(context, typed)
                assert found is not None, f"{name} is not a command"
                command, known = found, known[1:]
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in typed if word.startswith("--")} <= options


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_and_option_is_in_the_documents(words: tuple[str, ...]) -> None:
    assert f"trigger-engine {' '.join(words)}" in PAGE
    shared = {"--url", "--token-file", "--data", "--json", "--project", "--help"}
    for parameter in EVERY[words].params:
        for option in set(parameter.opts) - shared:
            assert not option.startswith("--") or option in PAGE, f"{option} of {' '.join(words)}"


def test_the_line_of_help_in_the_list_is_the_commands_own_business() -> None:
    assert list(cli.SUMMARIES) == [words[0] for words in EVERY if len(words) == 1]


def test_every_list_prints_json_on_demand() -> None:
    lists = [command for words, command in EVERY.items() if words[-1] == "list"]
    assert len(lists) >= 5
    for command in lists:
        assert "--json" in {option for parameter in command.params for option in parameter.opts}


def test_the_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['trigger-engine', '--help']\n"
        "from launcher import cli\n"
        "try: cli.main()\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_up_listens_where_the_settings_say() -> None:
    settings = {field.name: field.default for field in dataclasses.fields(Settings)}
    shown = {option.name: option.show_default for option in up.command.params if isinstance(option, click.Option)}
    assert (shown["host"], shown["port"]) == (settings["host"], str(settings["port"]))


def test_the_exit_codes_are_in_the_documents() -> None:
    codes = (0, exits.UNEXPECTED, exits.INVALID, exits.NOT_FOUND, exits.CONFLICT, exits.UNAVAILABLE, exits.INTERRUPTED)
    for code in codes:
        assert f"| {code} |" in PAGE
