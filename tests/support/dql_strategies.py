"""Filters and entities at random, of few names and values, so that they meet; and among the values those that have been
confused with one another before."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from backbone.model.dql import operators

KEYS = ["a", "b", "c", "0", "1", "é", "'", "x$1"]
NAMES = st.sampled_from([*KEYS, "$and", "a.b"])
NUMBERS = [0, 1, 1.0, -1, 5, 2**53 + 1, float(2**53), 2**63, 2**64 - 1, 2**64, 10**25, 1e25, 0.5, 0.1, 1714651200000]
DATES = ["2024-05-02", "2024-05-02T12:00:00Z", "2024-05-02 14:00:00.000+02:00", "2024-02-30", "0001-01-01T00:00:00+01"]
TEXTS = ["", "a", "A", "ab", "*", "a*", "*a*", "*%_", "\\*", "5", "1e0", "/a/b", "ß", "SS", "İ", "i̇", "😀", "\uffff"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS + DATES),
    st.integers(),
    st.integers(1714607999999, 1714651200001),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)


VALUES: st.SearchStrategy[Any] = st.recursive(SCALARS, containers, max_leaves=8)
ENTITIES = st.dictionaries(NAMES, VALUES, max_size=4) | VALUES
PATHS = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(".".join)
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
BOUNDS = st.one_of(
    st.sampled_from([*NUMBERS, *TEXTS, *DATES]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
ON_VALUES = st.one_of(
    st.fixed_dictionaries({}, optional={"$eq": PLAIN, "$ne": PLAIN, "$nin": st.lists(PLAIN, max_size=3)}),
    st.builds(lambda name, operand: {name: operand}, st.sampled_from(sorted(operators.RANGE)), BOUNDS),
    st.builds(lambda name, operand: {name: operand}, st.sampled_from(["$in", "$nin"]), st.lists(PLAIN, max_size=3)),
    st.builds(
        lambda name, text: {name: text},
        st.sampled_from(["$ieq", "$ilike", "$glob", "$match"]),
        st.text("aA*/!", max_size=6) | st.sampled_from(TEXTS),
    ),
    st.booleans().map(lambda wanted: {"$exists": wanted}),
)
COMPARISONS = st.one_of(PLAIN, ON_VALUES, ON_VALUES.map(lambda condition: {"$match": condition}))


def compositions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.lists(inner, max_size=3)
    return st.one_of(
        st.builds(lambda name, several: {name: several}, st.sampled_from(["$and", "$or", "$nor"]), members),
        st.builds(lambda path, condition: {path: {"$match": condition}}, PATHS, inner),
        st.builds(lambda one, other: {**one, **other}, inner, inner),
    )


FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(PATHS, COMPARISONS, max_size=2), compositions, max_leaves=5
)
