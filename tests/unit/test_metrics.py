"""Observing many values at once counts what observing each would have counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from backbone.kit import metrics

BOUNDS = (0.001, 0.5, 1, 30)


def counted(histogram: Histogram) -> dict[tuple[str, str], float]:
    [family] = histogram.collect()
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def histogram() -> Histogram:
    return Histogram("seconds", "…", buckets=BOUNDS, registry=CollectorRegistry())


@given(st.lists(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(-10, 1e9)), max_size=20), max_size=5))
def test_many_at_once_is_the_same_as_one_by_one(batches: list[list[float]]) -> None:
    ours, theirs = histogram(), histogram()
    for batch in batches:
        metrics.observe(ours, batch)
        for value in batch:
            theirs.observe(value)
    ours_counted, theirs_counted = counted(ours), counted(theirs)
    total = ours_counted.pop(("seconds_sum", ""))
    assert abs(total - theirs_counted.pop(("seconds_sum", ""))) <= 1e-9 * max(1.0, abs(total))
    assert ours_counted == theirs_counted


def test_every_metric_of_ours_can_be_observed_so() -> None:
    for one in (metrics.event_to_recorded, metrics.recorded_to_started, metrics.run_time, metrics.queue_age):
        before = counted(one)
        metrics.observe(one, [0.002, 4000.0])
        after = counted(one)
        name = one._name + "_count"
        assert after[(name, "")] == before[(name, "")] + 2
