"""How settings are read: from the environment, else from the settings file; a value, or a file that holds it.

    TRIGGER_ENGINE_KAFKA_TOPIC            in the environment, which wins
    kafka_topic = "..."                   in the TOML file that TRIGGER_ENGINE_SETTINGS names
    TRIGGER_ENGINE_KAFKA_PASSWORD_FILE    the path of a file with the value, as Docker and Kubernetes hand out secrets
    kafka_password_file = "..."           the same, in the settings file

What does not read is told with its place. The value is told too, unless the field is secret (`repr=False`).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from backbone.kit.addresses import masked
from backbone.model.errors import Invalid

SETTINGS_FILE = "settings"
BY_FILE = "_file"
MISSPELLED = 0.87
"""How like a setting an unknown variable has to be to be taken for a slip of the pen. Kubernetes adds variables of its
own for a service named `trigger-engine-kafka` (`…_KAFKA_PORT`), and those are less like any setting."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class _Source:
    given: Mapping[str, object]
    place: Callable[[str], str]  #: where a person finds the setting of this name


def read(kind: type[Any], prefix: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What is given for the fields of the dataclass `kind`. Raises Invalid naming the place of what does not read."""
    names = [field.name for field in fields(kind)]
    variables = {
        name.removeprefix(prefix).lower(): value
        for name, value in environment.items()
        if name.startswith(prefix) and name.isupper()
    }
    surroundings = _Source(variables, lambda name: prefix + name.upper())
    _refuse_unknown(surroundings, names, MISSPELLED)
    values: dict[str, Any] = {}
    if SETTINGS_FILE in variables:
        path = variables[SETTINGS_FILE]
        in_file = _Source(_table(path, surroundings.place(SETTINGS_FILE)), lambda name: f"{path}: {name}")
        _refuse_unknown(in_file, names)
        values = _values(kind, in_file)
    return {**values, **_values(kind, surroundings)}


def _table(path: str, place: str) -> dict[str, object]:
    try:
        return tomllib.loads(_content(path, place))
    except tomllib.TOMLDecodeError as error:
        raise Invalid(path, f"is not TOML: {error}") from None


def _refuse_unknown(source: _Source, names: Sequence[str], likeness: float = 0) -> None:
    """`likeness` 0: everything unknown. Otherwise what is so like a setting that it was meant to be one."""
    known = [SETTINGS_FILE, *names, *(name + BY_FILE for name in names)]
    for name in source.given:
        near = difflib.get_close_matches(name, known, n=1, cutoff=likeness or 0.6)
        if name in known or (likeness and not near):
            continue
        hint = f"did you mean {source.place(near[0])}?" if near else "docs/settings.md has them all"
        raise Invalid(source.place(name), f"is not a setting; {hint}")


def _values(kind: type[Any], source: _Source) -> dict[str, Any]:
    types = get_type_hints(kind)
    return {
        field.name: _value(field, types[field.name], source)
        for field in fields(kind)
        if field.name in source.given or field.name + BY_FILE in source.given
    }


def _value(field: Field[Any], kind: Any, source: _Source) -> Any:
    by_value, by_file = field.name, field.name + BY_FILE
    if by_file not in source.given:
        return _read(source.place(by_value), source.given[by_value], kind, secret=not field.repr)
    place = source.place(by_file)
    if by_value in source.given:
        raise Invalid(place, f"gives what {source.place(by_value)} gives too; one of them has to go")
    content = _content(_read(place, source.given[by_file], str), place).rstrip("\r\n")
    if not content:
        raise Invalid(place, f"{source.given[by_file]!r} is empty")
    return _read(place, content, kind, secret=not field.repr)


def _content(path: str, place: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", error)
        raise Invalid(place, f"{path!r} cannot be read: {reason}") from None


def _read(place: str, value: object, kind: Any, *, secret: bool = False) -> Any:
    shown = "what is given" if secret or isinstance(value, list | dict) else masked(repr(value))
    if kind is int and type(value) is int and value >= 0:
        return value
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if kind is int and not (isinstance(value, str) and value.isdecimal()):
        raise Invalid(place, f"{shown} is not a whole number")
    if not isinstance(value, str):
        raise Invalid(place, f"{shown} is not text in quotes")
    if kind is int:
        return int(value)
    if kind is timedelta:
        return duration(value, place)
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in value.split(";") if part.strip())
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise Invalid(place, f"{shown} is not known; expected {' or '.join(map(repr, get_args(kind)))}")
    return value


def duration(text: str, place: str) -> timedelta:
    """`250ms`, `30s`, `5m`, `1h`, `7d`."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise Invalid(place, f"{masked(text)!r} is not a duration; expected for instance 250ms, 30s, 5m, 1h or 7d")
    return timedelta(seconds=float(found.group(1)) * _UNITS[found.group(2)])
