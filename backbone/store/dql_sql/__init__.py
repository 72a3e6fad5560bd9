"""DQL as SQL: a parsed filter becomes the condition of a WHERE over a jsonb, with the verdicts of `Filter.matches`.

    expression ─► here (And, Or, Nor, which values) ─► values (each operator, for one value) ─► parameters

What came from outside is a parameter; the text is made of operators, function names and `$n` alone. The functions are
made by the migration 0002 and do on PostgreSQL 16 what they do on 18. Equality with plain texts, the usual thing, is a
jsonpath that PostgreSQL evaluates by itself; everything else asks for the values at a path and tests each.

A jsonb does not know how a number was written. A whole one within 64 bits is taken as exact and any other as a double,
as readers of JSON do; only a whole number beyond 2^53 that was written with an exponent is a double to them and exact
here. A text with NUL is in no jsonb, so a filter that asks for one is refused.
"""

from __future__ import annotations

import orjson

from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Nor, Or
from backbone.store.dql_sql import values
from backbone.store.dql_sql.parameters import Parameter, Parameters

__all__ = ["where"]


def where(expression: Expression, document: str, first_parameter: int) -> tuple[str, list[Parameter]]:
    """The condition, true or false and never null, and its parameters, the first of which is `$first_parameter`.

    `document` is SQL for the jsonb. Raises InvalidFilter for what PostgreSQL cannot be asked.
    """
    parameters = Parameters(first_parameter)
    return _condition(expression, document, parameters), parameters.values


def _condition(expression: Expression, document: str, parameters: Parameters) -> str:
    match expression:
        case Comparison():
            return _comparison(expression, document, parameters)
        case ElementMatch():
            return _element_match(expression, document, parameters)
        case And(members):
            return _joined("AND", "true", members, document, parameters)
        case Or(members):
            return _joined("OR", "false", members, document, parameters)
        case Nor(members):
            return f"NOT {_joined('OR', 'false', members, document, parameters)}"


def _joined(word: str, empty: str, members: tuple[Expression, ...], document: str, parameters: Parameters) -> str:
    each = [_condition(member, document, parameters) for member in members]
    return f"({f' {word} '.join(each) or empty})"


def _comparison(comparison: Comparison, document: str, parameters: Parameters) -> str:
    if not comparison.parts:
        test, negated = values.test_of(comparison, document, parameters)
        return f"(({test}) IS {'NOT ' if negated else ''}TRUE)"
    if _is_plain(comparison):
        return _by_jsonpath(comparison, document, parameters)
    test, negated = values.test_of(comparison, "value.it", parameters)
    path = parameters.put(comparison.parts, "text[]")
    found = f"EXISTS (SELECT FROM unnest(dql_values({document}, {path})) AS value (it) WHERE {test})"
    return f"NOT {found}" if negated else found


def _element_match(match: ElementMatch, document: str, parameters: Parameters) -> str:
    path = parameters.put(match.parts, "text[]")
    passes = _condition(match.condition, "element.it", parameters)
    if not match.on_values:
        passes = f"jsonb_typeof(element.it) = 'object' AND {passes}"
    return f"EXISTS (SELECT FROM dql_elements({document}, {path}) AS element (it) WHERE {passes})"


def _is_plain(comparison: Comparison) -> bool:
    """Whether jsonpath gives the verdict: it walks through lists as DQL does, except where a part may be an index."""
    return (
        comparison.operator in ("$eq", "$ne", "$in", "$nin")
        and not any(part[0].isdigit() for part in comparison.parts)
        and all(map(values.is_plain, values.operands_of(comparison)))
    )


def _by_jsonpath(comparison: Comparison, document: str, parameters: Parameters) -> str:
    path = "".join(f".{orjson.dumps(part).decode()}" for part in comparison.parts)
    wanted = orjson.dumps({"wanted": values.operands_of(comparison)}).decode()
    found = (
        f"jsonb_path_match({document}, {parameters.put(f'${path} == $wanted[*]', 'jsonpath')},"
        f" {parameters.put(wanted, 'jsonb')}, true)"
    )
    return f"({found} IS {'NOT ' if comparison.operator in ('$ne', '$nin') else ''}TRUE)"
