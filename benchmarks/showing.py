"""Figures as a table for people or as JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.measuring import GENERATOR, Run


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, figures to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if not n else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def figures(runs: list[Run]) -> dict[str, float]:
    return {
        "runs": len(runs),
        "events": runs[0].events,
        "events/s": statistics.median([run.rate for run in runs]),
        "p50 ms": statistics.median([run.p50 for run in runs]),
        "p99 ms": statistics.median([run.p99 for run in runs]),
        "max ms": max(run.longest for run in runs),
        "idle %": statistics.median([run.idle * 100 for run in runs]),
        "CPU us": statistics.median([sum(run.cpu.values()) - run.cpu[GENERATOR] for run in runs]),
    }


def median_run(runs: list[Run]) -> Run:
    return sorted(runs, key=lambda run: run.rate)[len(runs) // 2]


def by_process(of: Mapping[str, Mapping[str, float]]) -> str:
    least = 0.5
    names = sorted({name for used in of.values() for name, each in used.items() if each >= least})
    rows = [(name, *[number(used.get(name, 0)) for used in of.values()]) for name in names]
    return table(("PROCESS", *of), rows)


def memory(of: Mapping[str, Run]) -> str:
    names = sorted({name for run in of.values() for name in run.memory if run.memory[name] > 10_000_000})
    rows = [
        (name, *[f"{run.memory.get(name, 0) / 1e6:.0f} ({run.grown.get(name, 0) / 1e6:+.1f})" for run in of.values()])
        for name in names
    ]
    return table(("PROCESS", *of), rows)
