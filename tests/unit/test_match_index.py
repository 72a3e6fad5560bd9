"""Which triggers want to know of an event."""

from __future__ import annotations

import gc
import time

from backbone.model.events import RecordedEvent
from tests.support.matching import live_trigger, recorded
from trigger_engine.match import Index

OTHER_PROJECT = "00000000-0000-4000-8000-000000000002"


def matched(index: Index, *records: RecordedEvent) -> list[tuple[str, str]]:
    matches, unreadable = index.match(records)
    assert unreadable == []
    return [(match.recorded.event.id, match.trigger.id) for match in matches]


def test_project_resource_and_action_must_be_the_triggers() -> None:
    index = Index([live_trigger(actions=("Created", "Updated"))])
    assert matched(index, recorded("a"), recorded("b", action="Updated")) == [("a", "trigger"), ("b", "trigger")]
    others = recorded(project_id=OTHER_PROJECT), recorded(resource="Task"), recorded(action="Deleted")
    assert matched(index, *others) == []


def test_the_filter_must_be_passed() -> None:
    index = Index([live_trigger("jpg", {"name": {"$glob": "*.jpg"}}), live_trigger("any")])
    assert matched(index, recorded("a", {"name": "x.jpg"}), recorded("b", {"name": "x.png"})) == [
        ("a", "jpg"),
        ("a", "any"),
        ("b", "any"),
    ]


def test_matches_come_in_the_order_of_the_events() -> None:
    index = Index([live_trigger("one"), live_trigger("two")])
    assert [event for event, _ in matched(index, *(recorded(str(n)) for n in range(5)))] == list("0011223344")


def test_an_entity_that_does_not_read_is_set_aside_and_the_others_go_on() -> None:
    broken = recorded("bad", written=b"{nonsense")
    matches, [letter] = Index([live_trigger()]).match([recorded("a"), broken, recorded("b")])
    assert [match.recorded.event.id for match in matches] == ["a", "b"]
    assert (letter.source, letter.position, letter.path, letter.body) == ("match", "bad", "entity", b"{nonsense")
    assert letter.reason


def test_an_entity_that_nobody_asks_about_is_not_read() -> None:
    assert Index().match([recorded(written=b"{nonsense")]) == ([], [])


def test_a_change_makes_another_index_and_leaves_this_one_as_it_was() -> None:
    before = Index([live_trigger("stays"), live_trigger("changes"), live_trigger("goes")])
    after = before.changed([live_trigger("changes", version=2, actions=("Updated",)), live_trigger("new")], ["goes"])
    assert (before.versions, len(before)) == ({"stays": 1, "changes": 1, "goes": 1}, 3)
    assert (after.versions, len(after)) == ({"stays": 1, "changes": 2, "new": 1}, 3)
    assert [trigger for _, trigger in matched(before, recorded())] == ["stays", "changes", "goes"]
    assert [trigger for _, trigger in matched(after, recorded())] == ["stays", "new"]


def test_triggers_of_other_envelopes_cost_an_event_nothing() -> None:
    def seconds(index: Index) -> float:
        records = [recorded(str(n)) for n in range(500)]
        best = float("inf")
        for _ in range(7):
            gc.collect()
            began = time.perf_counter()
            index.match(records)
            best = min(best, time.perf_counter() - began)
        return best

    others = [live_trigger(str(n), {"name": f"{n}"}, resource=f"Resource{n}") for n in range(10_000)]
    assert seconds(Index([live_trigger(), *others])) < 3 * seconds(Index([live_trigger()]))
