"""Memory a trigger, with 100,000 of them in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks import showing
from benchmarks.matcher.cell import Cell


@dataclass(frozen=True, slots=True)
class Result:
    cells: list[Cell]

    def json(self) -> list[dict[str, object]]:
        return [asdict(cell) for cell in self.cells]


def run(names: Sequence[str], triggers: int) -> Result:
    return Result([_cell(name, triggers) for name in names])


def _cell(name: str, triggers: int) -> Cell:
    words = [name, str(triggers), "--events", "300", "--passes", "1", "--checked", "1"]
    command = [sys.executable, "-m", "benchmarks.matcher.cell", *words]
    return Cell(**json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout))


def show(result: Result) -> None:
    rows = [
        (
            cell.set,
            f"{cell.triggers:,}",
            *[
                showing.number(each)
                for each in (cell.filter_bytes, cell.index_bytes, cell.filter_bytes + cell.index_bytes)
            ],
            f"{cell.loading:.1f}",
        )
        for cell in result.cells
    ]
    head = ("SET", "triggers", "filter, bytes", "index, bytes", "both", "loading, CPU seconds")
    print("\nMemory a trigger\n\n" + showing.table(head, rows))
