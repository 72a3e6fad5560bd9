"""What a function says of itself on the way, however oddly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.running import running


@pytest.mark.parametrize(
    ("told", "status", "message", "percent"),
    [
        ("status='thinking', message='half', progress=50", "thinking", "half", 50),
        ("progress=12.5", "in-progress", None, 12),
        ("progress=True", "in-progress", None, 1),
        ("progress=1000", "in-progress", None, 100),
        ("status=5, message={'a': [1]}", "5", '{"a":[1]}', None),
        ("message='a\\0b\\ud800'", "in-progress", "a\ufffdb\ufffd", None),
    ],
)
async def test_progress_is_written_down_and_the_function_goes_on(
    database: str, tmp_path: Path, told: str, status: str, message: str | None, percent: int | None
) -> None:
    code = f"def run(item, progress):\n    progress.update({told})\n"
    async with running(database, tmp_path, code) as here:
        await here.publish(here.event("1"))
        (execution,) = await here.until_ended(1)
        assert (execution["status"], execution["message"]) == ("success", None)
        [line] = await here.rows("SELECT * FROM status_log WHERE number BETWEEN 1 AND 1000")
    assert (line["status"], line["message"], line["percent"]) == (status, message, percent)


async def test_what_an_error_says_may_hold_any_character(database: str, tmp_path: Path) -> None:
    code = "def run(item):\n    raise ValueError('a\\0b\\ud800')\n"
    async with running(database, tmp_path, code) as here:
        await here.publish(here.event("1"))
        (execution,) = await here.until_ended(1)
    assert (execution["status"], execution["message"]) == ("failed", "a\ufffdb\ufffd")
