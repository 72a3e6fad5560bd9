"""Where an event stands in a trace, read as W3C Trace Context says."""

from __future__ import annotations

import pytest

from backbone.model import traceparent
from backbone.model.errors import InvalidEvent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

NONE = [
    "",
    "nonsense",
    TRACE.upper(),
    TRACE[:-1],
    TRACE + "0",
    TRACE + "-00",  # the version that is known has four fields
    TRACE.replace("00-", "ff-", 1),
    TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
    TRACE.replace("00f067aa0ba902b7", "0" * 16),
    TRACE.replace("-01", "-é1"),
    TRACE + "\n",
]


def test_one_that_is_well_formed_is_kept_as_it_is() -> None:
    assert traceparent.checked(TRACE) == TRACE
    assert traceparent.from_header(TRACE.encode()) == TRACE
    assert traceparent.checked(None) is None


@pytest.mark.parametrize("value", NONE)
def test_a_field_that_is_none_is_refused_and_a_header_ignored(value: str) -> None:
    with pytest.raises(InvalidEvent, match="is not <version>") as found:
        traceparent.checked(value)
    assert found.value.path == "traceparent"
    assert traceparent.from_header(value.encode()) is None


def test_of_a_later_version_the_known_fields_are_handed_on_as_those_of_the_first() -> None:
    assert traceparent.from_header(f"01{TRACE[2:]}".encode()) == TRACE
    assert traceparent.from_header(f"cc{TRACE[2:]}-what-is-new".encode()) == TRACE
    assert traceparent.from_header(f"cc{TRACE[2:]}.what-is-new".encode()) is None
