"""What goes beside a place in a trace, read as W3C Trace Context says."""

from __future__ import annotations

import pytest

from backbone.model import tracestate

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
KEPT = [
    "rojo=00f067aa0ba902b7",
    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "fw529a3039@dt=FfG/xyz*0-_~, 1a@b=c",
    "a=with a space,\t, b=!\"#$%&'()*+-./:;<>?@[]^`{|}~",
    ",".join(f"k{number}=v" for number in range(32)),
    "a=" + "x" * 256 + ",b=" + "y" * 250,
]
NONE = [
    "",
    " , ",
    "nonsense",
    "=value",
    "a=",
    "A=b",
    "1a=b",
    "a=b=c",
    "a=\x00",
    "a=é",
    "a=b\n",
    "a=b,a=c",
    "a" * 257 + "=b",
    "a=" + "x" * 257,
    "a@" + "b" * 15 + "=c",
    ",".join(f"k{number}=v" for number in range(33)),
    "a=" + "x" * 256 + ",b=" + "y" * 253,
]


@pytest.mark.parametrize("value", KEPT)
def test_one_that_is_well_formed_is_kept_as_it_is_beside_its_traceparent_alone(value: str) -> None:
    assert tracestate.beside(TRACE, value) == value
    assert tracestate.beside_header(TRACE, b" %b\t" % value.encode()) == value
    assert tracestate.beside(None, value) is None
    assert tracestate.beside(TRACE, None) is None


@pytest.mark.parametrize("value", NONE)
def test_one_that_is_none_or_too_long_is_dropped(value: str) -> None:
    assert tracestate.beside(TRACE, value) is None
    assert tracestate.beside_header(TRACE, value.encode("latin-1")) is None
