"""The table of settings is that of the code: the same names, in order, with defaults that read as the code's."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from backbone.model.errors import Invalid
from launcher import reading_settings, settings
from launcher.settings import PREFIX, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
TABLE = PAGE.split("## ")[0]
ROWS = re.findall(r"^\| `(\w+)` \| (required|none|`[^`]+`) \| [^|]+ \| [^|]+ \|$", TABLE, re.MULTILINE)


def test_the_table_has_every_setting_in_order() -> None:
    assert [name for name, _ in ROWS] == [PREFIX + field.name.upper() for field in fields(Settings)]


def test_a_default_read_from_the_page_is_the_default_of_the_code() -> None:
    told = {name: default.strip("`") for name, default in ROWS if default.startswith("`")}
    left_out = settings.from_environment({}, database="postgresql://x")
    assert settings.from_environment(told, database="postgresql://x") == left_out


def test_what_has_no_default_on_the_page_is_empty_in_the_code() -> None:
    left_out = settings.from_environment({}, database="postgresql://x")
    assert [name for name, default in ROWS if default == "none" and getattr(left_out, field_of(name))] == []


def test_what_is_required_is_asked_for_by_its_name() -> None:
    [required] = [name for name, default in ROWS if default == "required"]
    with pytest.raises(Invalid, match=required):
        settings.from_environment({})


def test_the_durations_that_are_shown_read() -> None:
    shown = re.search(r"Durations are a number and a unit: (.*)\. Lists", PAGE)
    assert shown is not None
    assert [reading_settings.duration(text, "x").total_seconds() for text in re.findall(r"`(\w+)`", shown[1])] == [
        0.25,
        30,
        300,
        3600,
        604800,
    ]


def test_the_settings_file_that_is_shown_reads(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    (tmp_path / "secret").write_text("hidden\n")
    (tmp_path / "settings.toml").write_text(shown[1].replace("/run/secrets/kafka", str(tmp_path / "secret")))
    read = settings.from_environment({PREFIX + "SETTINGS": str(tmp_path / "settings.toml")})
    assert (read.kafka_security, read.kafka_password, read.resources) == (
        "sasl_ssl",
        "hidden",
        ("Shipment:Created,Lost",),
    )


def field_of(name: str) -> str:
    return name.removeprefix(PREFIX).lower()
