"""Which conditions of a filter fail for an entity: near misses are told, and counted, by them. Pure.

An entity is meant when all conditions of the filter hold, each compiled as the matcher compiles it. Ten thousand
filters have most of their conditions in common, word for word, so they are taken apart before they are read.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import msgspec

from backbone.model import dql
from backbone.model.dql import And, Comparison, ElementMatch, Expression, Nor, operators
from backbone.model.dql.comparing import test_of
from backbone.model.dql.evaluation import compiled
from backbone.model.dql.parsing import member
from backbone.model.dql.paths import Test, values

Labels = tuple[str, ...]
"""Of the conditions that fail, in the order of the filter."""

Conditions = tuple[tuple[Test, str], ...]
"""Each with its label."""

KEPT: Final = 50_000
"""Answers that are kept for the next filter, some 300 bytes each."""

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OF_A_QUERY: Final = frozenset({"filter", "join"})  # it may wrap the conditions
_PLAIN: Final = operators.COMPARISON - operators.MEMBERSHIP  # they take a plain value as it is written


def of(expression: Expression) -> Conditions:
    return tuple([(compiled(one), _label(one)) for one in _members(expression)])


def failing(conditions: Conditions, entity: object) -> Labels:
    return tuple([label for holds, label in conditions if not holds(entity)])


class Answers:
    """Of one entity, to many filters that were accepted before: what some of them have in common is asked once.

    None is the entity that does not read, of which nothing is asked.
    """

    def __init__(self, entity: object) -> None:
        self._entity = entity
        self._known: defaultdict[str, dict[bytes, Labels]] = defaultdict(dict)
        self._kept = 0
        self._ways: dict[tuple[str, str], tuple[list[object], Labels]] = {}

    def failing(self, written: str) -> Labels:
        """Of the filter that is written so."""
        if self._entity is None:
            return ()
        try:
            members = _MEMBERS.decode(written)
        except msgspec.ValidationError:  # nothing, or a text that holds the filter
            return self._of_whole(written)
        if not _OF_A_QUERY.isdisjoint(members):
            return self._of_whole(written)
        failing: Labels = ()
        for key, raw in members.items():
            value = bytes(raw)
            labels = self._known[key].get(value)
            if labels is None:
                labels = self._of_member(key, value)
                self._keep(key, value, labels)
            if labels:
                failing += labels
        return failing

    def _of_whole(self, written: str) -> Labels:
        return self._of(dql.compile(msgspec.json.decode(written)).expression)

    def _of_member(self, key: str, value: bytes) -> Labels:
        operator, operand = "$eq", msgspec.json.decode(value)
        if type(operand) is dict and len(operand) == 1:
            [(operator, operand)] = operand.items()
        if operator not in _PLAIN or isinstance(operand, dict | list):
            return self._of(member(key, msgspec.json.decode(value)))
        # What tells ten thousand filters apart is nearly always one of these at one path: the way there is gone once.
        found, labels = self._ways.get((key, operator)) or self._way(key, operator)
        test, negated = test_of(Comparison((), operator, operand))
        return () if any(map(test, found)) is not negated else labels

    def _way(self, key: str, operator: str) -> tuple[list[object], Labels]:
        found = values(self._entity, tuple(key.split(".")))
        way = self._ways[key, operator] = found, (f"{key} {operator}",)
        return way

    def _of(self, expression: Expression) -> Labels:
        return tuple([_label(one) for one in _members(expression) if not compiled(one)(self._entity)])

    def _keep(self, key: str, value: bytes, labels: Labels) -> None:
        if self._kept == KEPT:
            self._known.clear()
            self._kept = 0
        self._kept += 1
        self._known[key][value] = labels


def _members(expression: Expression) -> tuple[Expression, ...]:
    return expression.members if isinstance(expression, And) else (expression,)


def _label(of: Expression) -> str:
    """Without what it asks for: triggers that miss by the same label are told of together."""
    if isinstance(of, Comparison):
        return f"{of.path} {of.operator}"
    if isinstance(of, ElementMatch):
        return f"{of.path} $match"
    return "$nor" if isinstance(of, Nor) else "$or"
