"""How the matcher finds a trigger, told to people: its class, its keys, who else is there, what is then asked.

Pure, and with the matcher's own index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from backbone.model.dql import access
from backbone.model.dql.access import Cost
from backbone.model.dql.conjunctions import Conjunction, conjunctions
from backbone.model.matches import LiveTrigger
from launcher.cli.live import Held
from trigger_engine.match import Index, Place

_IN_WORDS = {
    Cost.EVERYTHING: "it has no condition, so each event is a match",
    Cost.EQUALITY: "only entities with that very value are asked",
    Cost.AFFIX: "only entities whose text begins or ends so are asked",
    Cost.PIECE: "only entities whose text holds that piece are asked",
    Cost.RANGE: "only entities in that range are asked, or with that one character at the start or end",
    Cost.NEGATION: "every entity is asked, and nearly each is a match",
    Cost.SCAN: "every entity is asked, mostly in vain: the quota of the project counts it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`places` has one for each action and alternative of the filter."""

    id: str
    name: str
    listens: str
    paused: str | None
    cost: str
    can_be_found_by: Sequence[str]  #: of each alternative the best condition; none where nothing can be looked up
    places: Sequence[Place]
    triggers: int  #: that listen to the same resource in the same project, itself included


def told(wanted: Sequence[Held], all_held: Iterable[Held]) -> list[Told]:
    """Each of the wanted among all that are not paused, as if it was not paused either."""
    ids = {one.live.id for one in wanted}
    resources = {one.live.resource for one in wanted}
    among = [
        _in_its_project(one)
        for one in all_held
        if one.live.resource in resources and (one.paused is None or one.live.id in ids)
    ]
    index = Index(among)
    envelopes = [(one.project_id, one.resource) for one in among]
    return [_told(one, index, envelopes) for one in wanted]


def in_words(cost: str) -> str:
    return _IN_WORDS[Cost[cost.upper()]]


def _told(held: Held, index: Index, envelopes: Sequence[tuple[str | None, str]]) -> Told:
    live = _in_its_project(held)
    return Told(
        id=live.id,
        name=live.name,
        listens=f"{live.resource}.{','.join(live.actions)}",
        paused=held.paused,
        cost=access.cost(live.filter.expression).name.lower(),
        can_be_found_by=[way for conjunction in conjunctions(live.filter.expression) for way in _best(conjunction)],
        places=index.explain(live.id),
        triggers=envelopes.count((live.project_id, live.resource)),
    )


def _best(conjunction: Conjunction) -> list[str]:
    found = min(access.accesses(conjunction), key=lambda way: way.cost, default=None)
    return [] if found is None else [" or ".join(map(str, found.keys))]


def _in_its_project(held: Held) -> LiveTrigger:
    return held.live if held.project is None else replace(held.live, project_id=held.project)
