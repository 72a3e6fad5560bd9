"""Texts as SQL: wildcards as LIKE, `$glob` as a regular expression, and case forgotten as this Python forgets it.

Patterns are written here and sent as parameters. Texts compare in the collation "C", which is by code point.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from backbone.model.dql import assumptions, limits
from backbone.store.dql_sql.parameters import Parameters

_CASED = 0x20000
"""No character from here on has upper and lower case."""

_special_in_like = re.compile(r"([\\%_])")
_stars = re.compile(r"\*+")
_special_in_glob = re.compile(r"(?P<folders>(?:^|(?<=/))\*{2,}/)|(?P<all>\*{2,})|(?P<folder>\*)|[!-/:-@[-`{-~]")
_REGEX = {"folders": "(?:.*/)?", "all": ".*", "folder": "[^/]*"}


def of(it: str) -> str:
    return f'(dql_text({it}) COLLATE "C")'


def fits_one_of(patterns: Sequence[str], it: str, parameters: Parameters) -> str:
    return f"{of(it)} LIKE ANY ({parameters.put(tuple(map(_like, patterns)), 'text[]')})"


def fits_folded(operand: str, it: str, parameters: Parameters) -> str:
    """`$ieq` and `$ilike`. Foldings into characters that the pattern does not have are left out: to it, the folded
    and the unfolded are equally strange."""
    wanted = assumptions.folded(operand)
    foldings = {plain: folded for plain, folded in _foldings().items() if not set(wanted).isdisjoint(folded)}
    single = {plain: folded for plain, folded in foldings.items() if len(folded) == 1}
    others = {plain: folded for plain, folded in foldings.items() if len(folded) > 1}
    arguments = (
        parameters.put("".join(single), "text"),
        parameters.put("".join(single.values()), "text"),
        parameters.put(tuple(others), "text[]"),
        parameters.put(tuple(others.values()), "text[]"),
    )
    folded_text = f'(dql_folded(dql_text({it}), {", ".join(arguments)}) COLLATE "C")'
    return f"{folded_text} LIKE {parameters.put(_like(wanted), 'text')}"


def fits_glob(pattern: str, it: str, parameters: Parameters) -> str:
    if len(pattern.replace("*", "")) > limits.GLOB_TEXT:
        return "false"  # longer than any text that is looked at
    longest = parameters.put(limits.GLOB_TEXT, "int")
    regex = parameters.put(_regex(pattern), "text")
    # CASE, because AND might try the regular expression on a long text first.
    return f"CASE WHEN length(dql_text({it})) <= {longest} THEN {of(it)} ~ {regex} END"


def _like(pattern: str) -> str:
    return _stars.sub("%", _special_in_like.sub(r"\\\1", pattern))


def _regex(glob: str) -> str:
    def piece(found: re.Match[str]) -> str:
        return _REGEX[found.lastgroup] if found.lastgroup else f"\\{found[0]}"

    return f"^{_special_in_glob.sub(piece, glob)}$"


@functools.cache
def _foldings() -> Mapping[str, str]:
    every = ((character, assumptions.folded(character)) for character in map(chr, range(_CASED)))
    return {character: folded for character, folded in every if folded != character}
