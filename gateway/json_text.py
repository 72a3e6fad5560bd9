"""What JSON is taken at every edge: text that each part behind it, PostgreSQL and a double can carry unchanged.

Refused are bytes that are not UTF-8, nesting without end, the NUL character, half a surrogate pair, and integers
beyond 64 bits. The checks look at the bytes before anything is built of them, and nearly always in C alone.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, Final

import orjson

from backbone.model.errors import Invalid

MAX_DEPTH: Final = 128
_LONG: Final = 19  # digits; fewer always fit into 64 bits

# An unfinished string is taken to its end, so that hostile text is walked once and not once a quotation mark.
_string = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_escape = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(....)|\\.", re.DOTALL)
_integer = re.compile(rb"-?\d+(?![\d.eE])")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ONE_DIGIT: Final = bytes.maketrans(b"123456789", b"000000000")


def read(document: bytes, error: type[Invalid]) -> Any:
    """The document decoded. Raises `error` with the reason when it is not taken."""
    check(document, error)
    return decoded(document, error)


def decoded(document: bytes, error: type[Invalid], path: str = "") -> Any:
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as found:
        raise error(path, f"is not JSON: {found}") from None


def check(document: bytes, error: type[Invalid]) -> None:
    """Raise `error` for what is not taken; whether the rest is JSON at all, the decoder says."""
    try:
        document.decode()
    except UnicodeDecodeError as found:
        raise error("", f"byte {found.start} is not UTF-8") from None
    if document.count(b"{") + document.count(b"[") > MAX_DEPTH:
        _refuse_depth(document, error)
    refuse_what_nobody_keeps(document, error)


def refuse_what_nobody_keeps(document: bytes, error: type[Invalid]) -> None:
    """Characters and integers that some part behind would lose or stumble over; for what is known to be JSON."""
    # One byte is found twenty times as fast as two, and most documents escape nothing.
    if b"\\" in document and (b"\\u0000" in document or b"\\ud" in document or b"\\uD" in document):
        _refuse_characters(document, error)
    if b"0" * _LONG in document.translate(_ONE_DIGIT):
        _refuse_huge_integers(document, error)


def _refuse_depth(document: bytes, error: type[Invalid]) -> None:
    brackets = _string.sub(b"", document).translate(None, delete=_NO_BRACKETS)
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
    for found in _integer.finditer(_string.sub(b'""', document)):
        digits = found.group()
        if len(digits) > _LONG + 1 or not -(2**63) <= int(digits) < 2**64:
            raise error("", f"the integer {digits[:24].decode()} does not fit into 64 bits")
