"""JSON files that people write, read so that what is wrong is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backbone.model import json_text
from backbone.model.errors import Invalid


def read(file: Path) -> Any:
    """The document in `file`. Raises Invalid that names the file, and the line where it is no JSON."""
    try:
        return parse(file.read_bytes(), str(file))
    except OSError as error:
        raise Invalid(str(file), f"cannot be read: {error.strerror or error}") from None


def parse(content: bytes, name: str) -> Any:
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
        json_text.refuse_doubled_keys(content, Invalid)
    except json.JSONDecodeError as error:
        raise Invalid(name, f"is not JSON: line {error.lineno} column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise Invalid(name, f"is not UTF-8: byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise Invalid(name, f"is not JSON: {error or 'nests too deep'}") from None
    except Invalid as error:
        raise Invalid(f"{name}: {error.path}".rstrip(": "), error.reason) from None
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
