"""`*` in a text: any run of characters, `/` included. And the older `$glob`, where `*` stops at `/` and `**` does not.

Both run forward over the text and never come back: no pattern makes them slow, as a regular expression would be.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable

from backbone.model.dql import limits

Fits = Callable[[str], bool]

_STARS = re.compile(r"(\*+)")


def wildcard(pattern: str) -> Fits:
    """Whether a whole text fits; `**` is `*`, every other character stands for itself."""
    prefix, *inner, suffix = pattern.split("*")
    pieces = tuple(filter(None, inner))
    if not pieces and not suffix:
        return operator.methodcaller("startswith", prefix)
    if not pieces and not prefix:
        return operator.methodcaller("endswith", suffix)
    shortest = len(prefix) + len(suffix)

    def fits(text: str) -> bool:
        if len(text) < shortest or not text.startswith(prefix) or not text.endswith(suffix):
            return False
        start, end = len(prefix), len(text) - len(suffix)
        # The leftmost place is always good enough: it leaves the most room for the pieces that follow.
        for piece in pieces:
            start = text.find(piece, start, end)
            if start < 0:
                return False
            start += len(piece)
        return True

    return fits


def stars(pattern: str) -> int:
    return len(_STARS.findall(pattern))


def glob(pattern: str) -> Fits:
    """Whether a whole path fits: `*` within one folder, `**` across folders, `/**/` also for no folder at all."""
    pieces = _STARS.split(pattern)

    def fits(text: str) -> bool:
        if len(text) > limits.GLOB_TEXT:
            return False
        reached: Iterable[int] = (0,)
        for number, piece in enumerate(pieces):
            if number % 2 == 0:
                folders = number > 0 and _spans_folders(pieces, number - 1)
                reached = _after_literal(text, piece[1:] if folders else piece, reached)
            elif len(piece) == 1:
                reached = _after_star(text, reached)
            elif _spans_folders(pieces, number):
                reached = _after_folders(text, reached)
            else:
                reached = range(min(reached), len(text) + 1)
            if not reached:
                return False
        return len(text) in reached

    return fits


def _spans_folders(pieces: list[str], number: int) -> bool:
    """`**` alone between two slashes, or between the start and a slash: its second slash belongs to the folders."""
    before, stars, after = pieces[number - 1 : number + 2]
    return len(stars) > 1 and after.startswith("/") and (before.endswith("/") or (number == 1 and not before))


def _after_literal(text: str, literal: str, reached: Iterable[int]) -> list[int]:
    return [place + len(literal) for place in reached if text.startswith(literal, place)]


def _after_star(text: str, reached: Iterable[int]) -> list[int]:
    places: list[int] = []
    covered = 0
    for place in reached:
        if place >= covered:
            slash = text.find("/", place)
            covered = (len(text) if slash < 0 else slash) + 1
            places.extend(range(place, covered))
    return places


def _after_folders(text: str, reached: Iterable[int]) -> list[int]:
    first = min(reached)
    ends = [place + 1 for place in range(first, len(text)) if text[place] == "/"]
    return sorted({*reached, *ends})
