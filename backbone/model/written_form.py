"""Reading documents that people write: what is wrong is told by its path, in JSON's words and not in Python's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from backbone.model.errors import Invalid

_Shape = TypeVar("_Shape")
_LONGEST = 60

_at = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_missing = re.compile(r"missing required field `([^`]+)`")
_mismatch = re.compile(r"^Expected `([^`]+)`, got `([^`]+)`$")
_not_a_choice = re.compile(r"^Invalid enum value (.*)$", re.DOTALL)

_JSON_WORDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "datetime": "a time such as 2024-05-01T12:00:00Z",
}


def convert(document: object, shape: type[_Shape], error: type[Invalid], path: str = "") -> _Shape:
    """The document as `shape`. Raises `error` with the path of the first field that does not fit."""
    try:
        written = msgspec.convert(document, shape)
        _refuse_unstorable(written, path, error)
    except (msgspec.ValidationError, RecursionError) as found:
        raise explained(found, error, path, shape) from None
    return written


def explained(found: Exception, error: type[Invalid], path: str = "", shape: type[Any] | None = None) -> Invalid:
    """msgspec's sentence as one of our errors: the path, below `path`, apart from the reason."""
    if isinstance(found, RecursionError):
        return error(path, "nests too deep")
    text = str(found)
    at = _at.search(text)
    below, reason = (at.group(1), text[: at.start()]) if at else ("", text)
    if missing := _missing.search(reason):
        return error(joined(path, joined(below, missing.group(1))), "is missing")
    if mismatch := _mismatch.match(reason):
        reason = f"expected {_in_json(mismatch.group(1))}, got {_in_json(mismatch.group(2))}"
    elif reason == "Invalid RFC3339 encoded datetime":
        reason = f"is not {_JSON_WORDS['datetime']}"
    elif (choice := _not_a_choice.match(reason)) and shape is not None:
        reason = f"{clipped(choice.group(1))} is not known; expected " + " or ".join(map(repr, _choices(shape, below)))
    return error(joined(path, below), reason[:1].lower() + reason[1:] if reason[:5] != "JSON " else reason)


def refuse_unknown(document: dict[str, Any], shape: type[msgspec.Struct], path: str, error: type[Invalid]) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(shape)]
    for name in document:
        if name not in known:
            shown = clipped(str(name))
            raise error(joined(path, shown), f"is not a known field; {hint(shown, known)}")


def hint(given: str, known: Iterable[str]) -> str:
    """The nearest of the known names, or all of them when none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(clipped(given).lower(), by_lower, n=1, cutoff=0.5)
    return f"did you mean {by_lower[near[0]]!r}?" if near else "known: " + ", ".join(by_lower.values())


def clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def joined(path: str, below: str) -> str:
    return f"{path}{below}" if not path or not below or below.startswith("[") else f"{path}.{below}"


def _in_json(types: str) -> str:
    *before, last = (_JSON_WORDS.get(name, name) for name in types.split(" | "))
    return f"{', '.join(before)} or {last}" if before else last


def _choices(shape: type[Any], path: str) -> list[str]:
    kind: inspect.Type = inspect.type_info(shape)
    for name in path.split("."):
        if isinstance(kind, inspect.StructType):
            kind = next(field.type for field in kind.fields if field.encode_name == name)
    if isinstance(kind, inspect.EnumType):
        return [str(choice.value) for choice in kind.cls]
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _refuse_unstorable(written: object, path: str, error: type[Invalid]) -> None:
    """PostgreSQL keeps no NUL in a text, and half a surrogate pair is no text at all."""
    if isinstance(written, str):
        if "\x00" in written or any("\ud800" <= character <= "\udfff" for character in written):
            raise error(path, f"{clipped(written)!r} holds a character that no text may: NUL, or half a surrogate pair")
    elif isinstance(written, msgspec.Struct):
        for field in msgspec.structs.fields(written):
            _refuse_unstorable(getattr(written, field.name), joined(path, field.encode_name), error)
    elif isinstance(written, dict):
        for name, value in written.items():
            _refuse_unstorable(name, path, error)
            _refuse_unstorable(value, joined(path, clipped(str(name))), error)
    elif isinstance(written, list):
        for index, value in enumerate(written):
            _refuse_unstorable(value, joined(path, f"[{index}]"), error)
