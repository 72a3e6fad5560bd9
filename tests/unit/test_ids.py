"""Ids: derived where a crash may make us ask twice, in the order of time wherever rows are many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from backbone.model import ids

moments = st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)
MILLISECOND = timedelta(milliseconds=1)


@given(moments, texts, texts)
def test_the_same_match_always_has_the_same_id(received: datetime, trigger: str, claim: str) -> None:
    found = ids.execution_id(received, trigger, claim)
    assert found == ids.execution_id(received, trigger, claim)
    assert (found.version, found.variant) == (8, RFC_4122)


def test_an_id_never_changes_from_release_to_release() -> None:
    received = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert str(ids.execution_id(received, "trigger", "entity")) == "018f3406-9e7b-8291-8720-8dfaaafabc54"


@given(moments, texts, texts, texts)
def test_other_triggers_and_other_claims_have_other_ids(received: datetime, one: str, other: str, claim: str) -> None:
    found = {ids.execution_id(received, one, claim), ids.execution_id(received, other, claim)}
    assert len(found) == len({one, other})
    found = {ids.execution_id(received, claim, one), ids.execution_id(received, claim, other)}
    assert len(found) == len({one, other})


def test_trigger_and_claim_do_not_run_into_each_other() -> None:
    now = datetime.now(UTC)
    assert ids.execution_id(now, "ab", "c") != ids.execution_id(now, "a", "bc")


@given(moments, moments, texts, texts)
def test_ids_sort_by_the_time_they_begin_with(one: datetime, other: datetime, trigger: str, claim: str) -> None:
    earlier, later = sorted((one, other))
    if later - earlier >= MILLISECOND:
        assert ids.execution_id(earlier, trigger, claim) < ids.execution_id(later, claim, trigger)


@given(moments, texts)
def test_every_id_of_a_moment_lies_between_its_floor_and_the_next(moment: datetime, claim: str) -> None:
    for found in (ids.execution_id(moment, "t", claim), ids.manual_execution_id(moment)):
        assert ids.partition_floor(moment) < found < ids.partition_floor(moment + MILLISECOND)


@given(moments)
def test_an_id_begins_with_the_exact_milliseconds(moment: datetime) -> None:
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    begins = ids.execution_id(moment, "t", "c").int >> 80
    assert datetime(1970, 1, 1, tzinfo=UTC) + begins * MILLISECOND == whole


def test_two_manual_executions_of_a_moment_differ() -> None:
    now = datetime.now(UTC)
    assert ids.manual_execution_id(now) != ids.manual_execution_id(now)


def test_a_definition_id_is_24_hexadecimal_digits_that_begin_with_the_time() -> None:
    before = int(datetime.now(UTC).timestamp())
    found = ids.definition_id()
    assert len(bytes.fromhex(found)) == 12
    assert before <= int(found[:8], 16) <= before + 5
    assert found != ids.definition_id()
