"""What commands print."""

from __future__ import annotations

import pytest

from launcher.cli import tables


def test_columns_are_aligned_and_lines_end_without_blanks() -> None:
    told = tables.lines(("NAME", "ID"), [("gray", "1"), ("a", "22")], (False, False), 80)
    assert told == ["NAME  ID", "gray  1", "a     22"]


def test_the_widest_column_gives_way_and_ids_never_do() -> None:
    reason, identity = "x" * 100, "0" * 36
    told = tables.lines(("REASON", "ID"), [(reason, identity)], (True, False), 80)
    assert all(len(line) <= 80 for line in told)
    assert identity in told[1]
    assert "x…" in told[1]


def test_what_cannot_give_way_is_wider_than_the_terminal_rather_than_cut() -> None:
    identity = "0" * 100
    assert tables.lines(("ID",), [(identity,)], (False,), 80)[1] == identity


def test_a_column_that_gives_way_stays_readable() -> None:
    assert tables.fitted([50, 50], (True, True), 10) == [tables.NARROWEST, tables.NARROWEST]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (0, "0"),
        (["Created", "Updated"], "Created, Updated"),
        ({"a": [1]}, '{"a":[1]}'),
        ("two\nlines", "two lines"),
        ("\x1b[31mred", " [31mred"),
    ],
)
def test_any_value_is_one_harmless_line(value: object, shown: str) -> None:
    assert tables.text(value) == shown


def test_moments_are_shown_in_utc() -> None:
    assert tables.moment("2025-11-21T13:58:01.250+02:00") == "2025-11-21 11:58:01"
    assert tables.moment("2025-11-21T13:58:01Z") == "2025-11-21 13:58:01"
    assert tables.moment(None) == "-"
    assert tables.moment("soon") == "soon"


def test_several_lines_stay_lines_and_steer_no_terminal() -> None:
    assert tables.plain_lines("one\n\ttwo\x1b[2J") == "one\n        two [2J"
