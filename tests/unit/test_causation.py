"""The chain of an event survives each way it travels, and whatever else arrives is refused."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.model import causation
from backbone.model.causation import MAX_LINKS, Causation, Link
from backbone.model.errors import InvalidEvent

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
chains = st.lists(st.builds(Link, event=texts, trigger=texts, execution=texts), max_size=6).map(
    lambda links: Causation(chain=tuple(links))
)


def link(number: int) -> Link:
    return Link(event=f"e{number}", trigger=f"t{number}", execution=f"x{number}")


@given(chains)
def test_a_chain_survives_json_and_header(chain: Causation) -> None:
    header = causation.to_header(chain)
    assert header.isascii()
    assert not set(header) & set(' \r\n",;+/')
    assert causation.from_header(header) == chain
    assert causation.decode(causation.encode(chain)) == chain


def test_a_chain_grows_at_its_end_and_knows_its_triggers() -> None:
    chain = Causation().followed_by(link(1)).followed_by(link(2))
    assert (chain.depth, chain.chain[0], chain.triggers) == (2, link(1), frozenset({"t1", "t2"}))


def test_a_chain_of_the_allowed_length_is_taken_and_a_longer_one_is_not() -> None:
    longest = Causation(chain=tuple(map(link, range(MAX_LINKS))))
    assert causation.decode(causation.encode(longest)) == longest
    with pytest.raises(InvalidEvent, match="has 65 links; at most 64"):
        causation.decode(causation.encode(longest.followed_by(link(0))))


def test_what_is_wrong_is_told_below_the_path_of_the_field() -> None:
    with pytest.raises(InvalidEvent) as found:
        causation.decode(b'{"chain": [{"event": "e", "trigger": 1, "execution": "x"}]}', "data.causation")
    assert found.value.path == "data.causation.chain[0].trigger"
    assert found.value.reason == "expected a string, got a whole number"


@given(st.text() | st.binary(max_size=60).map(lambda body: base64.urlsafe_b64encode(body).decode()))
def test_any_header_is_a_chain_or_an_invalid_event(value: str) -> None:
    try:
        assert isinstance(causation.from_header(value), Causation)
    except InvalidEvent as error:
        assert error.path.startswith("causation")  # noqa: PT017


@pytest.mark.parametrize(
    "document", [b'{"chain": ' + b"[" * 100_000, b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
)
def test_a_header_that_nests_without_end_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidEvent):
        causation.from_header(base64.urlsafe_b64encode(document).decode())


KEY = b"k" * 32


@given(chains)
def test_a_signed_chain_is_the_same_chain_however_it_is_written(chain: Causation) -> None:
    handed_out = causation.encode_signed(chain, KEY)
    assert causation.decode(handed_out) == causation.signed(chain, KEY)
    rewritten = json.dumps(json.loads(handed_out), indent=1).encode()
    assert causation.verify(causation.decode(rewritten), KEY).chain == chain.chain
    assert causation.decode(rewritten).unsigned == chain


@given(chains.filter(lambda chain: chain.depth > 1), st.data())
def test_no_chain_but_the_one_that_was_signed_fits_the_signature(chain: Causation, data: st.DataObject) -> None:
    left_out = data.draw(st.integers(0, chain.depth - 1))
    shorter = tuple(link for number, link in enumerate(chain.chain) if number != left_out)
    with pytest.raises(InvalidEvent, match="does not fit the chain") as found:
        causation.verify(Causation(shorter, causation.signed(chain, KEY).signature), KEY)
    assert found.value.path == "causation.signature"
    with pytest.raises(InvalidEvent, match="does not fit"):
        causation.verify(causation.signed(chain, b"another"), KEY)
    with pytest.raises(InvalidEvent, match="is missing"):
        causation.verify(chain, KEY)


def test_an_empty_chain_needs_no_signature() -> None:
    assert causation.verify(Causation(), KEY) == Causation()


def test_what_others_call_a_causation_id_is_theirs() -> None:
    for id in (None, "", "order-17", "1234", "{}", base64.urlsafe_b64encode(b'{"chain":[]}').decode()):
        assert causation.from_foreign(id) is None
    token = causation.to_header(causation.signed(Causation((link(1),)), KEY))
    assert causation.from_foreign(token) == causation.signed(Causation((link(1),)), KEY)
