"""How fast the matcher finds the triggers of an event, beside others and alone, on one processor.

  citylots  the sixteen banks of event-ruler's own benchmark, ours and theirs turn by turn

Counts and verdicts are asserted before anything is timed. Who is not there (java, mvn) is left out, and a line says
so. CITYLOTS2=/path/to/citylots2.json.gz takes the original events in the place of our stand-in.

Examples:
  python -m benchmarks.matcher citylots
  python -m benchmarks.matcher citylots --bank EXACT --bank COMBO --events 20000 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.matcher import contest, machine


def main() -> None:
    given = _parser().parse_args()
    void = machine.void()
    machine.pin()
    told: dict[str, object] = {"void": void}
    result = contest.run(given.data, given.rounds, given.events, given.bank)
    contest.show(result)
    told["citylots"] = result.json()
    if void:
        print(f"\nVOID: {void}")
    if given.json:
        given.json.write_text(json.dumps(told, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matcher",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", default="citylots", choices=["citylots"])
    cache = Path(tempfile.gettempdir()) / "trigger-engine-benchmarks"
    parser.add_argument("--data", type=Path, default=cache, metavar="FOLDER", help=f"keeps the stand-in ({cache})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also writes the figures there")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both sides (5)")
    parser.add_argument("--events", type=int, default=50_000, help="how many are timed; counts are of all (50000)")
    parser.add_argument("--bank", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    return parser


if __name__ == "__main__":
    main()
