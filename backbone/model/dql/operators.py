"""The operators of DQL, and what to say to somebody who wrote another one."""

from __future__ import annotations

import difflib
from typing import Final

LOGICAL: Final = frozenset({"$and", "$or", "$nor"})
RANGE: Final = frozenset({"$gt", "$gte", "$lt", "$lte"})
MEMBERSHIP: Final = frozenset({"$in", "$nin"})
COMPARISON: Final = RANGE | MEMBERSHIP | {"$eq", "$ne", "$exists", "$match", "$ieq", "$ilike", "$glob"}
ALL: Final = LOGICAL | COMPARISON

_WILDCARD: Final = 'did you mean a wildcard: "*text*"?'
_ONE_ENTITY: Final = "a filter looks at one entity alone, so there is nothing to search in"

_INSTEAD: Final = {
    "$regex": _WILDCARD,
    "$like": f"{_WILDCARD} ($ilike ignores case)",
    "$contains": _WILDCARD,
    "$startswith": 'did you mean a wildcard: "text*"?',
    "$endswith": 'did you mean a wildcard: "*text"?',
    "$text": _WILDCARD,
    "$not": "did you mean $ne, $nin, or $nor with one member?",
    "$elemmatch": "did you mean $match?",
    "$all": "did you mean $and with one equality for each member?",
    "$overlap": "did you mean $in?",
    "$size": 'an empty list is {"field": []}; other sizes cannot be asked for',
    "$between": "did you mean $gte and $lte side by side?",
    "$date": 'write the date as text: {"$gt": "2024-05-01T00:00:00Z"}',
    "$euclid": _ONE_ENTITY,
    "$euclidfilter": _ONE_ENTITY,
    "$euclidsort": _ONE_ENTITY,
}


def unknown(operator: str) -> str:
    """Why `operator` is refused, with the nearest thing that would be accepted."""
    shown = operator if len(operator) <= 40 else f"{operator[:40]}…"
    refused = f"operator {shown} is not one of DQL's"
    folded = operator[:40].lower()
    if folded in _INSTEAD:
        return f"{refused}; {_INSTEAD[folded]}"
    nearest = difflib.get_close_matches(folded, sorted(ALL), n=1, cutoff=0.6)
    return f"{refused}; did you mean {nearest[0]}?" if nearest else f"{refused}, which are {', '.join(sorted(ALL))}"
