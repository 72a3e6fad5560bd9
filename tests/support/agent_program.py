"""An agent as the tests of the pool need one: it is there, says its line, and ends as it is told to.

    python -I -S agent_program.py FOLDER HOW VERSION

Standard library only. `FOLDER/<pid>` holds the version while it lives in order. HOW: `works`; `drains`: told SIGTERM it
goes on until `FOLDER/finish` is there; `refuses`: cannot load; `dies`: ends at once; `stubborn`: ignores every signal.
"""

import os
import signal
import sys
import time
from pathlib import Path

POLL = 0.005


def main(folder: Path, how: str, version: str) -> int:
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    with (folder / "starts").open("a") as starts:
        starts.write(f"{how} {version}\n")
    if how == "dies":
        return 7
    if how == "refuses":
        say("no module named 'nothing'")
        return 3
    mark = folder / str(os.getpid())
    mark.write_text(version)
    say("ready")
    while how == "stubborn" or not told:
        time.sleep(POLL)
    while how == "drains" and signal.SIGINT not in told and not (folder / "finish").exists():
        time.sleep(POLL)
    mark.unlink()
    return 0


def say(line: str) -> None:
    os.write(int(os.environ["TRIGGER_ENGINE_STATUS_FD"]), line.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
