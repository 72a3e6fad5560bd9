"""How long a user waits for `trigger-engine --help`: the wall time of whole processes, interpreter included.

Example:
  python -m benchmarks.startup --runs 20
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from benchmarks import showing

ASKED = 300.0  # milliseconds
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "trigger-engine --help": ["-m", "launcher.cli", "--help"],
    "trigger-engine executions list --help": ["-m", "launcher.cli", "executions", "list", "--help"],
}


def milliseconds(words: list[str]) -> float:
    began = time.perf_counter()
    said = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout
    took = (time.perf_counter() - began) * 1000
    assert "--help" not in words or "Usage: trigger-engine" in said, said
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="of each command, after one that does not count (20)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    took: dict[str, list[float]] = {}
    for _ in range(given.runs + 1):
        for command, words in COMMANDS.items():
            took.setdefault(command, []).append(milliseconds(words))
    figures = {
        command: {"median": statistics.median(times[1:]), "least": min(times[1:]), "most": max(times[1:])}
        for command, times in took.items()
    }
    ratio = ASKED / figures["trigger-engine --help"]["median"]
    if given.json:
        print(json.dumps({"milliseconds": figures, "ratios": {"300 ms / --help": ratio}}, indent=2))
        return
    rows = [(command, *[showing.number(figure) for figure in of.values()]) for command, of in figures.items()]
    print(showing.table((f"MS, {given.runs} RUNS", "median", "least", "most"), rows))
    print("\n" + showing.table(("RATIOS", "is"), [("300 ms / --help", f"{ratio:.2f}")]))


if __name__ == "__main__":
    main()
