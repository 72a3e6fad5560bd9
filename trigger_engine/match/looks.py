"""What a node looks up of a view in its table, in the form that matching wants: one object for all nodes alike.

Ten thousand nodes with getters of their own would keep the processor waiting for its memory.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from trigger_engine.match.projection import Get, Name, Path

Paths: TypeAlias = tuple[Path, ...]
Cut: TypeAlias = tuple[Path, Name, tuple[int, ...]]
"""A start or an end of the text at a path, and the lengths of it that are keys."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Looks:
    values_of: Get
    """From which all below are picked. Raises AttributeError when the view is not shaped so."""
    keys: tuple[tuple[Get, Get], ...]
    """Of some paths: how the key is got, and its way in the table."""
    cuts: tuple[tuple[Get, bool, Name, tuple[tuple[int, slice], ...]], ...]
    """Of starts and ends: how the text is got, whether upper and lower case are one, the way, and which stretches are
    keys, the shortest first: a text that is shorter than one of them has none of the longer ones."""


def looks_of(signatures: Sequence[Paths], cuts: Sequence[Cut]) -> Looks:
    """Where they share paths, each value is got once, and the keys are picked from all of them."""
    asked = [path for paths in signatures for path in paths] + [path for path, _, _ in cuts]
    if not asked:
        return NONE
    known, key = asked[0].projection.looks, (*signatures, None, *cuts)
    looks = known.get(key)
    if looks is None:
        looks = known[key] = _made(asked, signatures, cuts)
    return looks


def cut_of(name: Name, length: int) -> slice:
    return slice(-length, None) if name[0] == "ends" else slice(length)


def _made(asked: list[Path], signatures: Sequence[Paths], cuts: Sequence[Cut]) -> Looks:
    getter_of = asked[0].projection.getter_of
    paths = tuple(dict.fromkeys(asked))
    shared = len(asked) >= 2 * len(paths) > 2 and all(path.fields is not None for path in paths)
    at = {path: place for place, path in enumerate(paths)}

    def picker_of(wanted: Paths) -> Get:
        return operator.itemgetter(*[at[path] for path in wanted]) if shared else getter_of(wanted)

    return Looks(
        getter_of(paths) if shared else _itself,
        tuple([(picker_of(wanted), getter_of(wanted)) for wanted in signatures]),
        tuple([(picker_of((path,)), name[2], name, _slices(name, lengths)) for path, name, lengths in cuts]),
    )


def _slices(name: Name, lengths: tuple[int, ...]) -> tuple[tuple[int, slice], ...]:
    return tuple([(length, cut_of(name, length)) for length in sorted(lengths)])


def _itself(view: Any) -> Any:
    return view


NONE: Final = Looks(_itself, (), ())
