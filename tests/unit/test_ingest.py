"""What a log elsewhere gives is looked at before it is believed."""

from __future__ import annotations

import orjson

from backbone.model import causation
from backbone.model.causation import Causation
from tests.support.matching import PROJECT, chain, recorded
from trigger_engine import ingest

KEY = b"k" * 32


def test_events_whose_chains_were_forged_are_set_aside_and_the_others_go_on() -> None:
    handed_out = causation.signed(chain(["a", "b"]), KEY)
    forged = Causation(handed_out.chain[1:], handed_out.signature)
    records = [recorded("none"), recorded("own", causation=handed_out), recorded("forged", causation=forged)]
    good, letters = ingest.genuine(records, KEY)
    assert [record.event.id for record in good] == ["none", "own"]
    [letter] = letters
    assert (letter.source, letter.position, letter.path) == ("log", "forged", "causation.signature")
    assert (letter.project_id, orjson.loads(letter.body)["id"]) == (PROJECT, "forged")


def test_nothing_is_copied_where_nothing_is_forged() -> None:
    records = [recorded("none")]
    assert ingest.genuine(records, KEY) == (records, [])
