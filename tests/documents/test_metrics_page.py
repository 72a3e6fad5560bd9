"""The tables of metrics are those of the code, and the examples of PromQL ask for what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from backbone.kit import metrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```promql\n(.*?)\n```", PAGE, re.DOTALL)
KNOWN: dict[str, Any] = {
    name: value for name, value in vars(metrics).items() if isinstance(value, Counter | Gauge | Histogram)
}
SUFFIXES = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}


def shown(metric: Any) -> str:
    """As it is called where it is looked at."""
    return str(metric._name) + ("_total" if isinstance(metric, Counter) else "")


def test_the_tables_have_every_metric_with_its_labels() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(?: (?:histogram|gauge) \|)? ((?:`\w+`)?) ?\| ", PAGE, re.MULTILINE)
    told = {name: label.strip("`") for name, label in rows}
    assert len(told) == len(rows)
    assert told == {shown(metric): ", ".join(metric._labelnames) for metric in KNOWN.values()}


def test_the_types_of_times_and_levels_are_told() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (histogram|gauge) \|", PAGE, re.MULTILINE))
    assert told == {shown(metric): metric._type for metric in KNOWN.values() if not isinstance(metric, Counter)}


def test_what_nobody_observes_is_told_to_be_so() -> None:
    code = "".join(
        file.read_text(encoding="utf-8")
        for part in ("agent", "backbone", "dispatcher", "gateway", "trigger_engine")
        for file in (ROOT / part).rglob("*.py")
    )
    silent = {shown(metric) for name, metric in KNOWN.items() if f"metrics.{name}" not in code}
    assert set(re.findall(r"^\| `(\w+)` .*\*\*Not observed yet", PAGE, re.MULTILINE)) == silent


def test_there_are_examples_for_each_question() -> None:
    for question in ("Is it keeping up?", "What fails?", "What is stopped?"):
        assert "```promql" in PAGE.split(f"## {question}")[1].split("\n## ")[0]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_asks_for_series_and_labels_that_there_are(example: str) -> None:
    series = {
        metric._name + suffix: set(metric._labelnames) | ({"le"} if suffix == "_bucket" else set())
        for metric in KNOWN.values()
        for suffix in SUFFIXES[type(metric)]
    }
    asked = re.findall(r"(trigger_engine_\w+)(?:\{(\w+)[!=])?", example)
    assert asked
    assert [name for name, label in asked if label not in series.get(name, set()) | {""} or name not in series] == []
    labels = {label for name, _ in asked for label in series[name]}
    assert set(re.findall(r"by \((\w+)\)", example)) <= labels
    assert example.count("(") == example.count(")")
