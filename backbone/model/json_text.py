"""What JSON is taken at every edge: text that each part behind it, PostgreSQL and a double can carry unchanged.

Refused are bytes that are not UTF-8, nesting without end, the NUL character, half a surrogate pair, numbers that no
double holds, integers beyond 64 bits, and a key that comes twice, of which every reader takes another value. What is
good is found so in C alone, an event of 1.3 KB in about 6 us; Python looks closer only at what is suspicious.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, Final

import orjson

from backbone.model import written_form
from backbone.model.errors import Invalid

MAX_DEPTH: Final = 128
_LONG: Final = 19  # digits; fewer always fit into 64 bits
_LONG_RUN: Final = b"0" * _LONG

# One pattern is found faster than two texts, and one byte many times as fast: most documents escape nothing.
_bad_escape = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_escaped_colon = re.compile(rb"\\u003[aA]")
_escape = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(....)|\\.", re.DOTALL)
# A number is taken whole, so that digits behind a point are no integer, and a long one is walked once.
_number = re.compile(rb"-?\d++([.eE][-+.\deE]*+)?")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ONE_DIGIT: Final = bytes.maketrans(b"123456789", b"000000000")


def read(document: bytes, error: type[Invalid]) -> Any:
    """The document decoded. Raises `error` with the reason, and the path where it is known, when it is not taken."""
    check(document, error)
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError as found:
        raise error("", f"is not JSON: {found}") from None
    if may_double_keys(document, value):
        refuse_doubled_keys(document, error)
    return value


def check(document: bytes, error: type[Invalid]) -> None:
    """Raise `error` for what no text and no JSON may hold. Whether it is JSON, and of keys, `read` says."""
    try:
        document.decode()
    except UnicodeDecodeError as found:
        raise error("", f"byte {found.start} is not UTF-8") from None
    if document.count(b"{") + document.count(b"[") > MAX_DEPTH:
        _refuse_depth(document, error)
    if b"\\" in document and _bad_escape.search(document):
        _refuse_characters(document, error)
    if _has_long_number(document):
        _refuse_huge_integers(document, error)


def may_double_keys(document: bytes, value: Any) -> bool:
    """Whether a key may come twice in what orjson decoded as `value`; rarely true where none does."""
    # Written again, a key that came twice comes once, and so does its colon; other colons stay, if none is escaped.
    colons = document.count(b":")
    return orjson.dumps(value).count(b":") != colons or (b"\\" in document and bool(_escaped_colon.search(document)))


def refuse_doubled_keys(document: bytes, error: type[Invalid], path: str = "") -> None:
    """For what is known to be JSON, and to nest no deeper than Python reads."""
    found = _doubled(json.loads(document, object_pairs_hook=_Pairs, parse_int=str, parse_float=str))
    if found is not None:
        below, key = found
        shown = json.dumps(written_form.clipped(key), ensure_ascii=False)
        raise error(written_form.joined(path, below), f"the key {shown} comes twice")


def _has_long_number(document: bytes) -> bool:
    # Ids have as many digits, and only numbers are meant: twice the same look, without the strings.
    return _LONG_RUN in document.translate(_ONE_DIGIT) and _LONG_RUN in _outside_strings(document).translate(_ONE_DIGIT)


def _outside_strings(document: bytes) -> bytes:
    """What is left when each string is empty; one that does not end goes to the end."""
    return b'""'.join(document.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _refuse_depth(document: bytes, error: type[Invalid]) -> None:
    brackets = _outside_strings(document).translate(None, delete=_NO_BRACKETS)
    if max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise error("", f"it nests deeper than {MAX_DEPTH} levels")


def _refuse_characters(document: bytes, error: type[Invalid]) -> None:
    for found in _escape.finditer(document):
        code = (found.group(1) or b"").lower()
        if code == b"0000":
            raise error("", f"the NUL character at byte {found.start()} is not taken")
        if code[:2] in (b"d8", b"d9", b"da", b"db", b"dc", b"dd", b"de", b"df"):
            raise error("", f"byte {found.start()} begins half of a surrogate pair, which is no character")


def _refuse_huge_integers(document: bytes, error: type[Invalid]) -> None:
    for found in _number.finditer(_outside_strings(document)):
        digits = found.group()
        if found.group(1) is None and (len(digits) > _LONG + 1 or not -(2**63) <= int(digits) < 2**64):
            raise error("", f"the integer {digits[:24].decode()} does not fit into 64 bits")


class _Pairs(list[tuple[str, Any]]):
    """The members of an object as they were written."""


def _doubled(value: Any) -> tuple[str, str] | None:
    """The path of the first object with a key that comes twice, and the key."""
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, member in value:
            if key in seen:
                return "", key
            seen.add(key)
            if found := _doubled(member):
                return written_form.joined(written_form.clipped(key), found[0]), found[1]
    elif isinstance(value, list):
        for index, member in enumerate(value):
            if found := _doubled(member):
                return written_form.joined(f"[{index}]", found[0]), found[1]
    return None
