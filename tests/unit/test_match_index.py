"""Which triggers want to know of an event."""

from __future__ import annotations

from backbone.model.events import RecordedEvent
from tests.support.matching import live_trigger, recorded
from trigger_engine.match import Index

OTHER_PROJECT = "00000000-0000-4000-8000-000000000002"


def matched(index: Index, *records: RecordedEvent) -> list[tuple[str, str]]:
    matches, unreadable = index.match(records)
    assert unreadable == []
    return [(one.recorded.event.id, trigger.id) for one in matches for trigger in one.triggers]


def test_project_resource_and_action_must_be_the_triggers() -> None:
    index = Index([live_trigger(actions=("Created", "Updated"))])
    assert matched(index, recorded("a"), recorded("b", action="Updated")) == [("a", "trigger"), ("b", "trigger")]
    others = recorded(project_id=OTHER_PROJECT), recorded(resource="Task"), recorded(action="Deleted")
    assert matched(index, *others) == []


def test_the_filter_must_be_passed() -> None:
    index = Index([live_trigger("jpg", {"name": {"$glob": "*.jpg"}}), live_trigger("any")])
    found = matched(index, recorded("a", {"name": "x.jpg"}), recorded("b", {"name": "x.png"}))
    assert sorted(found) == [("a", "any"), ("a", "jpg"), ("b", "any")]


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


def test_a_change_is_met_by_the_next_event_and_named_by_its_version() -> None:
    index = Index([live_trigger("stays"), live_trigger("changes"), live_trigger("goes")])
    assert (index.versions, len(index)) == ({"stays": 1, "changes": 1, "goes": 1}, 3)
    [before, *_], _ = index.match([recorded()])
    index.put(live_trigger("changes", version=2, actions=("Updated",)))
    index.put(live_trigger("new"))
    index.remove("goes")
    assert (index.versions, len(index)) == ({"stays": 1, "changes": 2, "new": 1}, 3)
    assert sorted(trigger for _, trigger in matched(index, recorded())) == ["new", "stays"]
    assert matched(index, recorded("e", action="Updated")) == [("e", "changes")]
    [after, *_], _ = index.match([recorded()])
    assert after.index_version == index.version == before.index_version + 3


def test_what_is_removed_leaves_nothing_behind() -> None:
    filters = [{"name": f"{n}", "size": {"$gt": n, "$lt": n + 9}, "dir": f"/{n}/*"} for n in range(200)]
    index = Index(live_trigger(str(n), filter) for n, filter in enumerate(filters))
    for n in range(200):
        index.remove(str(n))
    assert (len(index), index.versions, matched(index, recorded(entity={"name": "3", "size": 5}))) == (0, {}, [])
    assert index.envelopes == 0


def test_a_trigger_of_no_project_is_one_of_every_project() -> None:
    index = Index([live_trigger("wide", {"name": "x"}, project_id=None), live_trigger("own", {"name": "x"})])
    here, there = recorded("here", {"name": "x"}), recorded("there", {"name": "x"}, project_id=OTHER_PROJECT)
    assert sorted(matched(index, here, there)) == [("here", "own"), ("here", "wide"), ("there", "wide")]
    index.remove("wide")
    assert matched(index, here, there) == [("here", "own")]


def test_triggers_of_other_envelopes_cost_an_event_nothing() -> None:
    others = [live_trigger(str(n), {"name": f"{n}"}, resource=f"Resource{n % 100}") for n in range(10_000)]
    records = [recorded(str(n)) for n in range(5)]
    assert Index([live_trigger(), *others]).work(records) == Index([live_trigger()]).work(records)


def test_filters_that_say_the_same_are_asked_once() -> None:
    index = Index(live_trigger(str(n), {"name": "*a?b*", "size": {"$ne": 3}}) for n in range(1_000))
    work = index.work([recorded(entity={"name": "xa?by"})])
    assert (work.entries, work.residuals) == (1, 1)
    assert len(matched(index, recorded(entity={"name": "xa?by"}))) == 1_000


def test_a_path_through_a_list_is_learned_and_its_triggers_are_looked_up_again() -> None:
    index = Index(live_trigger(str(n), {"refs.id": f"r{n}", "refs.type": "task"}) for n in range(500))
    event = recorded(entity={"refs": [{"id": "r7", "type": "task"}, {"id": "r499"}]})
    for _ in range(40):  # some a batch are filed anew
        assert sorted(trigger for _, trigger in matched(index, event)) == ["499", "7"]
    assert index.work([event]).residuals <= 4
    [place] = index.explain("7")
    assert place.keys == ("refs.id = 'r7'",)


def test_an_explanation_names_the_keys_the_others_and_what_is_left() -> None:
    index = Index(live_trigger(str(n), {"dir": f"/d{n}/*", "hidden": False, "size": {"$ne": n}}) for n in range(30))
    [place] = index.explain("7")
    assert (place.keys, place.others) == (("dir starts '/d7/'",), 0)
    assert place.left == ({"$nor": [{"size": {"$eq": 7}}]}, {"hidden": {"$eq": False}})


def test_lists_of_values_do_not_multiply_from_key_to_key() -> None:
    lists = {name: {"$in": [f"{name}{k}" for k in range(40)]} for name in "abcdefgh"}
    index = Index(live_trigger(str(n), {**lists, "z": {"$ne": n}}) for n in range(12))
    assert max(len(index.explain(str(n))) for n in range(12)) <= 40
    event = recorded(entity={name: f"{name}7" for name in "abcdefgh"} | {"z": 3})
    assert len(matched(index, event)) == 11


def test_many_clauses_alike_in_many_filters_do_not_go_down_for_ever() -> None:
    same = {f"p{k}": "x" for k in range(1_000)}
    index = Index(live_trigger(str(n), {**same, "z": {"$ne": n}}) for n in range(12))
    assert len(index.explain("7")[0].keys) <= 10
    assert len(matched(index, recorded(entity=same | {"z": 3}))) == 11


def test_an_entity_without_the_field_reaches_no_range_of_it() -> None:
    index = Index(live_trigger(str(n), {"a": {"$gte": n, "$lt": n + 2}}) for n in range(500))
    assert index.work([recorded(entity={"b": 1}), recorded(entity={"a": None})]).entries == 0


def test_triggers_on_elements_of_lists_are_filed_anew_once() -> None:
    index = Index(live_trigger(str(n), {"l": {"$match": {"m": f"{n}", "n": {"$gt": n}}}}) for n in range(200))
    for _ in range(20):
        matched(index, recorded(entity={"l": [{"m": "7", "n": 9}, {"m": "8"}]}))
    filed = index.filed
    assert filed > 200
    assert matched(index, recorded(entity={"l": [{"m": "7", "n": 9}]})) == [("event", "7")]
    assert index.filed == filed


def test_the_same_trigger_twice_at_once_is_one() -> None:
    index = Index([live_trigger("a", {"x": 1}), live_trigger("a", {"x": 2}, actions=("Created", "Created"))])
    assert matched(index, recorded(entity={"x": 1}), recorded(entity={"x": 2})) == [("event", "a")]
    index.remove("a")
    assert matched(index, recorded(entity={"x": 2})) == []


def test_a_text_shorter_than_what_others_ask_for_is_found_once() -> None:
    starts = ["a", "ab", "abc", "abcd", "abcde", "b", "bc", "bcd", "c"]
    filters = {f"{way} {text}": text for text in starts for way in ("starts", "ends")}
    index = Index(
        live_trigger(id, {"name": f"{text}*" if id.startswith("starts") else f"*{text}"})
        for id, text in filters.items()
    )
    for text in ("ab", "abcde", "abcdef", "bcd", "zabc", ""):
        expected = [
            id for id in filters if (text.startswith if id.startswith("starts") else text.endswith)(filters[id])
        ]
        assert sorted(matched(index, recorded("e", {"name": text}))) == sorted(("e", id) for id in expected), text


def test_the_same_text_under_several_keys_of_a_node_leads_to_each_of_them() -> None:
    filters = [{field: text} for field in ("name", "dir", "creator") for text in ("same", "same*", "*same", "other")]
    index = Index(live_trigger(str(number), filter) for number, filter in enumerate(filters))
    found = matched(index, recorded("e", {"name": "same", "dir": "same", "creator": "other"}))
    assert sorted(int(id) for _, id in found) == [0, 1, 2, 4, 5, 6, 11]
    for number in range(0, len(filters), 2):
        index.remove(str(number))
    found = matched(index, recorded("e", {"name": "same", "dir": "same", "creator": "other"}))
    assert sorted(int(id) for _, id in found) == [1, 5, 11]


def test_starts_are_found_where_lists_are_met_now_and_then() -> None:
    index = Index(live_trigger(f"{n}", {"tags": f"{n}-*"}) for n in range(30))
    entities = ({"tags": value} for value in ("7-x", ["7-x", "8-y", 9], "8-", None, {"a": "7-x"}, ["9-"], "9-9"))
    found = [[id for _, id in matched(index, recorded("e", entity))] for entity in entities]
    assert list(map(sorted, found)) == [["7"], ["7", "8"], ["8"], [], [], ["9"], ["9"]]
