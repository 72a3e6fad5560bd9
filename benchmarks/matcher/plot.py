"""Events a second against the number of triggers as an SVG: a panel a set, ours and event-ruler's, axes in tens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.matcher.scaling import SIZES, THEIR_SETS

FILE = Path(__file__).parents[2] / "docs" / "matcher-scaling.svg"
WIDTH, HEIGHT = 190, 220
"""Of a panel,"""
LEFT, TOP, GAP = 52, 56, 26
"""and what is around it."""
TITLES = {
    "spread": "ten triggers a project",
    "one": "all in one project",
    "worst": "nothing selective",
    "eqonly": "equality alone",
}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #59636e }
.title { font-weight: 600; fill: #1f2328 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.ours { stroke: #0969da; fill: #0969da }
.theirs { stroke: #bc4c00; fill: #bc4c00 }
path { stroke-width: 2; fill: none !important }
text.ours, text.theirs { stroke: none; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  .title { fill: #f0f6fc }
  .grid { stroke: #3d444d }
  .ours { stroke: #4493f8; fill: #4493f8 }
  .theirs { stroke: #db6d28; fill: #db6d28 }
}
"""
Points = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Panel:
    name: str
    ours: Points
    theirs: Points
    refused: int | None
    """With how many triggers event-ruler was not built in time."""


def panels(scaling: Mapping[str, Any]) -> list[Panel]:
    """From the figures of `scaling` as it writes them."""
    rates: dict[str, dict[int, float]] = {}
    for each in scaling["ours"]:
        measured = sorted(rate for cell in each["processes"] for rate in cell["rates"])
        rates.setdefault(each["set"], {})[each["triggers"]] = measured[len(measured) // 2]
    theirs = scaling["theirs"]
    return [
        Panel(
            name,
            rates[name],
            {each["triggers"]: each["rate"] for each in theirs if each["set"] == name and each["rate"]},
            min((each["triggers"] for each in theirs if each["set"] == name and not each["rate"]), default=None),
        )
        for name in THEIR_SETS
        if name in rates
    ]


def drawn(shown: Sequence[Panel]) -> str:
    rates = [rate for panel in shown for points in (panel.ours, panel.theirs) for rate in points.values()]
    low, high = math.floor(math.log10(min(rates))), math.ceil(math.log10(max(rates)))
    width = LEFT + len(shown) * (WIDTH + GAP)
    height = TOP + HEIGHT + 44
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="Events a second against the number of triggers, ours and event-ruler">',
        f"<style>{STYLE}</style>",
        f'<text class="ours" x="{LEFT}" y="16">trigger-engine</text>',
        f'<text class="theirs" x="{LEFT + 110}" y="16">AWS event-ruler 2.1.0</text>',
        f'<text x="{LEFT + 280}" y="16">events a second on one processor, by the number of triggers</text>',
    ]
    for number, panel in enumerate(shown):
        lines += _panel(panel, LEFT + number * (WIDTH + GAP), low, high, labels=number == 0)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(panel: Panel, left: int, low: int, high: int, *, labels: bool) -> Iterator[str]:
    def x(triggers: float) -> float:
        first, last = math.log10(SIZES[0]), math.log10(SIZES[-1])
        return round(left + (math.log10(triggers) - first) / (last - first) * WIDTH, 1)

    def y(rate: float) -> float:
        return round(TOP + HEIGHT - (math.log10(rate) - low) / (high - low) * HEIGHT, 1)

    yield f'<text class="title" x="{left}" y="{TOP - 14}">{escape(TITLES[panel.name])}</text>'
    for power in range(low, high + 1):
        at = y(10**power)
        yield f'<line class="grid" x1="{left}" y1="{at}" x2="{left + WIDTH}" y2="{at}"/>'
        if labels:
            yield f'<text x="{left - 6}" y="{at + 4}" text-anchor="end">{_short(10**power)}</text>'
    for size in SIZES:
        yield f'<text x="{x(size)}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{_short(size)}</text>'
    for name, points in (("theirs", panel.theirs), ("ours", panel.ours)):
        places = [(x(size), y(rate)) for size, rate in sorted(points.items())]
        if places:
            yield f'<path class="{name}" d="M{" L".join(f"{across} {down}" for across, down in places)}"/>'
        for (across, down), rate in zip(places, (points[size] for size in sorted(points)), strict=True):
            label = f"{rate:,.0f} events a second"
            yield f'<circle class="{name}" cx="{across}" cy="{down}" r="3"><title>{label}</title></circle>'
    if panel.refused is not None:
        at = TOP + HEIGHT - 6
        yield f'<text class="theirs" x="{x(panel.refused)}" y="{at}" text-anchor="middle">not built</text>'


def _short(number: float) -> str:
    return f"{number / 1e6:g}M" if number >= 1e6 else f"{number / 1e3:g}k" if number >= 1e3 else f"{number:g}"
