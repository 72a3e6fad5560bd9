"""Reading documents that people write: what is wrong is told by its path, in our words."""

from __future__ import annotations

import difflib
import re
from typing import Any, TypeVar

import msgspec

from backbone.model.errors import Invalid

_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_at = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_missing = re.compile(r"missing required field `([^`]+)`")


def convert(document: object, shape: type[_Shape], error: type[Invalid]) -> _Shape:
    """The document as `shape`. Raises `error` with the path of the first field that does not fit."""
    try:
        return msgspec.convert(document, shape)
    except (msgspec.ValidationError, RecursionError) as found:
        raise explained(found, error) from None


def explained(found: Exception, error: type[Invalid]) -> Invalid:
    """msgspec's sentence as one of our errors: the path apart from the reason."""
    if isinstance(found, RecursionError):
        return error("", "nests too deep")
    text = str(found)
    at = _at.search(text)
    path, reason = (at.group(1), text[: at.start()]) if at else ("", text)
    missing = _missing.search(reason)
    if missing:
        return error(f"{path}.{missing.group(1)}".lstrip("."), "is missing")
    return error(path, reason[:1].lower() + reason[1:])


def refuse_unknown(document: dict[str, Any], shape: type[msgspec.Struct], prefix: str, error: type[Invalid]) -> None:
    known = [known.encode_name for known in msgspec.structs.fields(shape)]
    for name in document:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)
            raise error(f"{prefix}{name}", f"is not a known field; {hint}")
