"""DQL, the filter language of triggers: a JSON document says which entities are meant. `docs/filters.md` teaches it.

    document ─ shapes ─► parsing ─► expression ─► evaluation ─► matches(entity)
                         (limits)   (immutable)       └────────► explanation

Pure: no I/O, no clock, no state. Everything that can be wrong with a filter is raised by `compile` as InvalidFilter;
`matches` and `explain` never raise, whatever JSON the entity is. What public sources leave open is in `assumptions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from backbone.model.dql import explanation
from backbone.model.dql.evaluation import compiled
from backbone.model.dql.explanation import Explanation
from backbone.model.dql.expression import And, Comparison, ElementMatch, Expression, Nor, Object, Operand, Or
from backbone.model.dql.parsing import parse
from backbone.model.dql.paths import Test
from backbone.model.dql.shapes import JOIN, unwrapped

__all__ = [
    "JOIN",
    "And",
    "Comparison",
    "ElementMatch",
    "Explanation",
    "Expression",
    "Filter",
    "Nor",
    "Object",
    "Operand",
    "Or",
    "compile",
]


@dataclass(frozen=True, eq=False)
class Filter:
    source: object  #: the document as it was given to `compile`
    expression: Expression
    ignored: tuple[str, ...]  #: parts of a wrapped query that a filter cannot honour, such as its join

    def matches(self, entity: object) -> bool:
        """Whether a decoded entity (what `orjson.loads` gives) is meant."""
        return self._test(entity)

    def explain(self, entity: object) -> Explanation:
        return explanation.explained(self.expression, self._test, entity)

    @cached_property
    def _test(self) -> Test:
        # Built when first asked: who only checks filters, or makes an index of their expressions, does not pay for it.
        return compiled(self.expression)


def compile(filter: object, path: str = "filter") -> Filter:
    """The filter of a document in any of the accepted shapes; None is the filter that every entity passes.

    Raises InvalidFilter, whose path begins with `path` and names the place inside the document.
    """
    document, at, ignored = unwrapped(filter, (None, path))
    return Filter(filter, parse(document, at), ignored)
