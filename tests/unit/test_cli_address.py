"""How a command finds the engine, and to whom it shows a token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backbone.model.errors import Invalid, Unavailable
from launcher.cli.address import FILE, Address, Whereabouts, token_in


def find(data: Path, url: str | None = None, token: str | None = None) -> Address:
    return Whereabouts(url=url, token=token, data=data).find()


def up_wrote(data: Path, **document: object) -> None:
    (data / FILE).write_text(json.dumps(document))


def test_the_data_folder_says_where_the_engine_is(tmp_path: Path) -> None:
    up_wrote(tmp_path, url="http://127.0.0.1:8900/", token="secret", pid=7)
    assert find(tmp_path) == Address("http://127.0.0.1:8900", "secret")


def test_what_the_caller_says_goes_before_the_folder(tmp_path: Path) -> None:
    up_wrote(tmp_path, url="http://127.0.0.1:8900", token="secret")
    assert find(tmp_path, token="mine") == Address("http://127.0.0.1:8900", "mine")
    assert find(tmp_path, url="http://engine:8900", token="mine") == Address("http://engine:8900", "mine")


def test_the_folders_token_is_not_shown_to_an_address_that_the_caller_gave(tmp_path: Path) -> None:
    up_wrote(tmp_path, url="http://127.0.0.1:8900", token="secret")
    assert find(tmp_path, url="http://elsewhere").token is None


def test_without_an_engine_the_sentence_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"there is no .*gateway\.json; start one with: trigger-engine up"):
        find(tmp_path)


def test_a_file_that_does_not_read_is_no_address(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(Unavailable, match="does not say where it is"):
        find(tmp_path)


def test_an_address_without_a_scheme_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="--url: 'engine:8900' is no address"):
        find(tmp_path, url="engine:8900")


def test_a_token_file_holds_a_token(tmp_path: Path) -> None:
    file = tmp_path / "token.txt"
    with pytest.raises(Invalid, match=r"--token-file: .* cannot be read"):
        token_in(file)
    file.write_text("\n")
    with pytest.raises(Invalid, match="is empty"):
        token_in(file)
    file.write_text("secret\n")
    assert token_in(file) == "secret"
    assert token_in(None) is None
