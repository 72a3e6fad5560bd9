"""DQL read the plain way: the filter's document walked anew for each entity, a sentence of docs/filters.md a line.

It shares no line with the engine, and is slow; where the two differ, one of them is wrong. It takes what the engine
has accepted, and no wrapped query.
"""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

ABSENT = object()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORDER = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def holds(filter: dict[str, Any], entity: Any) -> bool:
    return all(condition(key, asked, entity) for key, asked in filter.items())


def condition(key: str, asked: Any, entity: Any) -> bool:
    if key == "$and":
        return all(holds(each, entity) for each in asked)
    if key == "$or":
        return any(holds(each, entity) for each in asked)
    if key == "$nor":
        return not any(holds(each, entity) for each in asked)
    return field(key.split("."), asked, entity)


def field(path: list[str], asked: Any, entity: Any) -> bool:
    if not isinstance(asked, dict) or not asked:
        return clause(path, "$eq", asked, entity)
    if next(iter(asked)).startswith("$"):
        return all(clause(path, name, operand, entity) for name, operand in asked.items())
    return all(field(path + key.split("."), below, entity) for key, below in asked.items())


def clause(path: list[str], name: str, operand: Any, entity: Any) -> bool:
    if name in ("$ne", "$nin"):
        return not clause(path, {"$ne": "$eq", "$nin": "$in"}[name], operand, entity)
    if name == "$exists":
        return operand is any(value is not None and value is not ABSENT for value in seen(entity, path))
    if name == "$glob" and operand.startswith("!"):
        return not any(fits_glob(value, operand[1:]) for value in seen(entity, path))
    if name == "$match" and isinstance(operand, dict):
        return any(element_holds(operand, each) for value in at(entity, path) for each in elements(value))
    return any(passes(name, operand, value) for value in seen(entity, path))


def elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is ABSENT else [value]


def element_holds(asked: dict[str, Any], element: Any) -> bool:
    if any(key.startswith("$") and key not in ("$and", "$or", "$nor") for key in asked):
        return field([], asked, element)
    return isinstance(element, dict) and holds(asked, element)


def at(value: Any, path: list[str]) -> list[Any]:
    if not path:
        return [value]
    name, rest = path[0], path[1:]
    if isinstance(value, dict):
        return at(value[name], rest) if name in value else [ABSENT]
    if not isinstance(value, list):
        return [ABSENT]
    number = re.fullmatch(r"0|[1-9][0-9]{0,8}", name)
    found = []
    if number:
        found += at(value[int(name)], rest) if int(name) < len(value) else [ABSENT]
    for element in value:
        if isinstance(element, dict) and (name in element or not number):
            found += at(element, path)
    return found


def seen(entity: Any, path: list[str]) -> list[Any]:
    """What a comparison looks at: the values, and where one is a list its elements too."""
    values = at(entity, path)
    # The comparison of an element itself, inside $match, looks at this one value.
    return values + [each for value in values if isinstance(value, list) and path for each in value]


def passes(name: str, operand: Any, value: Any) -> bool:
    if name in ORDER:
        return in_order(ORDER[name], operand, value)
    if name == "$in":
        return any(equal(each, value) for each in (operand if isinstance(operand, list) else [operand]))
    if name == "$glob":
        return fits_glob(value, operand)
    if name in ("$ieq", "$ilike") and isinstance(operand, str):
        return isinstance(value, str) and fits_wildcard(value.casefold(), operand.casefold())
    return equal(operand, value)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(operand: Any, value: Any) -> bool:
    if operand is None:
        return value is None or value is ABSENT
    if isinstance(operand, str):
        if isinstance(value, str):
            return fits_wildcard(value, operand)
        moment = instant(operand)
        return is_number(value) and moment is not None and moment == epoch(value)
    if is_number(operand) and isinstance(value, str):
        return instant(value) == epoch(operand)
    return same(operand, value)


def same(operand: Any, value: Any) -> bool:
    if is_number(operand) and is_number(value):
        return operand == value or (not -(2**63) <= operand < 2**63 and float(operand) == value)
    if isinstance(operand, list) and isinstance(value, list):
        return len(operand) == len(value) and all(same(one, other) for one, other in zip(operand, value, strict=True))
    if isinstance(operand, dict) and isinstance(value, dict):
        return operand.keys() == value.keys() and all(same(operand[key], value[key]) for key in operand)
    return type(operand) is type(value) and operand == value


def in_order(order: Any, operand: Any, value: Any) -> bool:
    if isinstance(value, str) and isinstance(operand, str):
        moments = instant(value), instant(operand)
        return bool(order(value, operand) if None in moments else order(*moments))
    if isinstance(value, str):
        moment = instant(value)
        return moment is not None and order(moment, epoch(operand))
    if not is_number(value):
        return False
    if isinstance(operand, str):
        bound, moment = number(operand), instant(operand)
        if bound is not None:
            return bool(order(value, bound))
        return moment is not None and order(epoch(value), moment)
    return bool(order(value, operand))


def number(text: str) -> int | float | None:
    """In decimal; digits alone are an integer, as long as it is no longer than 18 characters."""
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", text):
        return None
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) and len(text) <= 18 else float(text)


def epoch(milliseconds: float) -> Fraction:
    return Fraction(milliseconds) * 1_000_000


ISO = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(?P<clock>[Tt ]([01]\d|2[0-3]):\d\d(:\d\d(?P<fraction>[.,]\d+)?)?(?P<zone>[Zz]|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)


def instant(text: str) -> Fraction | None:
    """In nanoseconds since 1970; a fraction of a second is cut there."""
    found = ISO.fullmatch(text)
    if found is None:
        return None
    fraction = found["fraction"] or ""
    try:
        moment = datetime.fromisoformat(text.upper().replace(" ", "T").replace(fraction, "", 1))
    except ValueError:
        return None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
    return Fraction((since.days * 86_400 + since.seconds) * 10**9 + int(f"{fraction[1:]:0<9}"[:9]))


def fits_wildcard(text: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, re.split(r"\*+", pattern))), text, re.DOTALL) is not None


def fits_glob(value: Any, pattern: str) -> bool:
    """A star stays in its folder; two cross folders, and between slashes, or in front of one, they may be none."""
    if not isinstance(value, str):
        return False
    expression = ""
    for part in re.findall(r"(?:^|(?<=/))\*\*+/|\*+|[^*]+", pattern):
        stars = part.count("*")
        expression += (
            re.escape(part) if not stars else "(.*/)?" if part.endswith("/") else ".*" if stars > 1 else "[^/]*"
        )
    return re.fullmatch(expression, value, re.DOTALL) is not None
