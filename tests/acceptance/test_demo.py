"""The demo, as a newcomer runs it: in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from launcher import become
from tests.support import engine_processes
from tests.support.command_line import ROOT

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
PATIENCE = 120


def test_the_demo_turns_photographs_gray_and_stops_the_loop(tmp_path: Path) -> None:
    data = tmp_path / "demo" / ".trigger-engine"
    dies_with_us = [become.__file__, str(os.getpid()), str(signal.SIGKILL.value), str(os.geteuid())]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIGGER_ENGINE_")}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", *dies_with_us, sys.executable, str(ROOT / "examples" / "demo.py")],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(ROOT), engine_processes.MARK: str(data)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not engine_processes.left(data)
    finally:
        engine_processes.kill_all(data)
    rows = table(done.stdout)
    for photo in PHOTOS:
        gray = f"/gray/{Path(photo).stem}"
        assert [row for row in rows if row[:4] == [f"/{photo}", "every-new-item", "rgb2gray", "success"]], done.stdout
        assert [row for row in rows if row[:4] == [f"/{photo}", "new-photos-only", "describe", "success"]], done.stdout
        assert re.search(rf"were stopped: .*{gray}", done.stdout)
        assert [path.stem for path in (tmp_path / "demo/photos/gray").glob(f"{Path(photo).stem}.*")], done.stdout
    assert len(rows) == 2 * len(PHOTOS)
    assert re.search(r"  /\S+ -> every-new-item -> /gray/\S+ -> every-new-item again", done.stdout)
    assert "reason: trigger 'every-new-item' is in the chain that led to this event" in done.stdout
    assert "It all came out right" in done.stdout


def table(printed: str) -> list[list[str]]:
    """The rows under the head EVENT."""
    lines = printed.splitlines()
    head = next(number for number, line in enumerate(lines) if line.split()[:1] == ["EVENT:"])
    rows = []
    for line in lines[head + 1 :]:
        if not line.startswith("  "):
            break
        rows.append(line.split())
    return rows
