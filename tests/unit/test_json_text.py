"""What JSON is taken at the edges, and that no text takes long to be refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backbone.model import json_text
from backbone.model.errors import Invalid


def refused(document: bytes) -> Invalid:
    with pytest.raises(Invalid) as found:
        json_text.read(document, Invalid)
    return found.value


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"a":1e999}', "is not JSON: number is infinity"),
        (b'{"a":-1e999}', "is not JSON: number is infinity"),
        (b'{"a":%b.5}' % (b"9" * 400), "is not JSON: number is infinity"),
        (b'{"a":18446744073709551616}', "the integer 18446744073709551616 does not fit into 64 bits"),
        (b'{"a":[-9223372036854775809]}', "the integer -9223372036854775809 does not fit into 64 bits"),
        (b"9" * 5_000, "the integer 999999999999999999999999 does not fit into 64 bits"),
        (b'{"\\"":"\\\\","a":99999999999999999999}', "the integer 99999999999999999999 does not fit into 64 bits"),
        (b'{"a":NaN}', "is not JSON: unexpected character"),
        (b'{"a":Infinity}', "is not JSON: unexpected character"),
        (b'{"a":-Infinity}', "is not JSON"),
        (b'{"a":"\xff"}', "byte 6 is not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "byte 6 is not UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "is not JSON"),
        (b'{"a":"\x00"}', "is not JSON: unexpected control character"),
        (b'{"a":"\\u0000"}', "the NUL character at byte 6 is not taken"),
        (b'{"\\u0000":1}', "the NUL character at byte 2 is not taken"),
        (b'{"a":"\\ud800"}', "byte 6 begins half of a surrogate pair"),
        (b'{"a":"\\ud83dx\\ude00"}', "byte 6 begins half of a surrogate pair"),
        (b'{"a":"\\uDE00"}', "byte 6 begins half of a surrogate pair"),
        (b"[" * 129 + b"]" * 129, "it nests deeper than 128 levels"),
        (b"[" * 1_000_000, "it nests deeper than 128 levels"),
        (b'{"a":1', "is not JSON: unexpected end of data"),
        (b"[" + b'{"a":1},' * 200, "is not JSON"),
        (b"", "is not JSON"),
    ],
)
def test_what_some_part_could_not_carry_is_refused(document: bytes, reason: str) -> None:
    assert reason in refused(document).reason


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":18446744073709551615,"b":-9223372036854775808,"c":1e308}',
        b"0.99999999999999999999999999",
        b"[1.00000000000000000000001e-10,-123456789012345678901234567890e0]",
        b'["99999999999999999999999","\\"99999999999999999999999"]',
        b'["\\\\u0000","\\\\ud800","\\ud83d\\ude00","\\u003a"]',
        b'[{"a":1},{"a":1},{"a":{"a":{"b":":"}}}]',
        b'{"a":1,"A":2,"a ":3,"\\u00e9":4,"e\\u0301":5}',
        b"[" * 128 + b"]" * 128,
    ],
)
def test_what_all_parts_can_carry_is_taken_as_it_is(document: bytes) -> None:
    assert json_text.read(document, Invalid) == json.loads(document)


@pytest.mark.parametrize(
    ("document", "path", "key"),
    [
        (b'{"a":1,"a":1}', "", "a"),
        (b'{"a":1, "b":2 ,\t"a"\n:\r1}', "", "a"),
        (b'{"a":1,"\\u0061":1}', "", "a"),
        ('{"\u00e9":1,"\\u00e9":1}'.encode(), "", "\u00e9"),
        (b'{"a":1,"a":1,"b":"\\u003a"}', "", "a"),
        (b'{"a":1,"a":1,"b":"\\u003A"}', "", "a"),
        (b'{"a":1,"a":1,"b":"\\u0022:"}', "", "a"),
        (b'{"":1,"":1}', "", ""),
        (b'{"x":{"y":[0,{"a":1,"b":{"c":1},"b":{}}]}}', "x.y[1]", "b"),
        (b'[[{"a":{"k":1,"k":2},"a":{}}]]', "[0][0].a", "k"),
        (b'{"a":1,"b":%b,"a":1}' % (b"9" * 18), "", "a"),
        (b"[" * 126 + b'{"a":{},"a":{}}' + b"]" * 126, "[0]" * 126, "a"),
    ],
)
def test_a_key_that_comes_twice_is_named(document: bytes, path: str, key: str) -> None:
    error = refused(document)
    assert (error.path, error.reason) == (path, f'the key "{key}" comes twice')


def test_a_long_key_that_comes_twice_makes_no_long_sentence() -> None:
    error = refused(b'{"%b":{"%b":1,"%b":1}}' % (b"x" * 9_000, b"y" * 9_000, b"y" * 9_000))
    assert len(str(error)) < 200


# Written by hand, so that keys come twice, colons are escaped, and white space stands where it may.
_SPACES = st.sampled_from(["", "", " ", "\n\t "])
_STRINGS = st.sampled_from(
    ["a", "b", "é", "", ":", '\\"', '\\":', "\\\\", "\\u0061", "\\u0022:", "\\u003a", "\\u003A", "\\\\u003a", "\\u003c"]
).map(lambda text: f'"{text}"')


def _written(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds("{}{}:{}".format, _STRINGS, _SPACES, inner)
    return st.lists(member, max_size=4).map(lambda all: "{" + ",".join(all) + "}") | st.lists(inner, max_size=3).map(
        lambda all: "[" + ", ".join(all) + "]"
    )


WRITTEN = st.recursive(st.sampled_from(["1", "null", "0.50", "1E5", "-0"]) | _STRINGS, _written, max_leaves=12)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise KeyError
    return dict(pairs)


@settings(max_examples=1_000, deadline=None)
@given(WRITTEN)
@example('{"a":1,"a":"\\u003a"}')
@example('{"a":{"b":":"},"a":"\\u003a\\u003a\\u003a"}')
def test_exactly_the_documents_with_a_key_twice_are_refused(text: str) -> None:
    try:
        wanted = json.loads(text, object_pairs_hook=_once)
    except KeyError:
        assert "comes twice" in refused(text.encode()).reason
    else:
        assert json_text.read(text.encode(), Invalid) == wanted


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_json_or_refused(document: bytes) -> None:
    try:
        value = json_text.read(document, Invalid)
    except Invalid:
        return
    assert value == json.loads(document)


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":' + b"9" * MEGABYTE + b".5}",
        b"[" + b"1234567890123456789.5," * (MEGABYTE // 22) + b"1]",
        b'{"a":"' + b"\\u003a" * (MEGABYTE // 6) + b'"}',
        b"[" + b'{"\\u003a":1},' * (MEGABYTE // 13) + b"1]",
        b"[" * 128 + b"[]," * (MEGABYTE // 3) + b"1" + b"]" * 128,
        b"[]" * (MEGABYTE // 2),
        b'"' * MEGABYTE,
        b'["' + b"\\" * MEGABYTE,
        b'["' + b"\\u00" * (MEGABYTE // 4) + b"\\u0000",
        b"{" + b'"a":{' * 120 + b'"k":1,' * (MEGABYTE // 6) + b'"l":2' + b"}" * 121,
        b'{"' + b"k" * (MEGABYTE // 2) + b'":1,"' + b"k" * (MEGABYTE // 2) + b'":1}',
    ],
    ids=lambda document: document[:20].decode() + "…",
)
def test_no_megabyte_takes_long_whatever_it_holds(document: bytes) -> None:
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        try:
            json_text.read(document, Invalid)
        except Invalid:
            pass
        best = min(best, time.process_time() - began)
    assert best < 0.6  # the worst takes a third of that, anything quadratic minutes
