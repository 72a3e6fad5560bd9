"""The tokens that agents show are made from the gateway's own, wherever that one is given."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from gateway import agent_tokens
from launcher import cli
from launcher.cli import exits


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = exits.run(cli.trigger_engine, ["tokens", *words])
    said = capsys.readouterr()
    return code, said.out.strip(), click.unstyle(said.err)


def test_of_a_host_and_of_a_service(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("the gateway's own\n")
    monkeypatch.setenv("TRIGGER_ENGINE_TOKEN_FILE", str(tmp_path / "token"))
    code, token, _ = printed(capsys, "agents")
    assert (code, token) == (0, agent_tokens.of_host("the gateway's own"))
    assert agent_tokens.opens(token, "the gateway's own", "GET", agent_tokens.AGENTS)
    monkeypatch.delenv("TRIGGER_ENGINE_TOKEN_FILE")
    code, token, _ = printed(capsys, "agent", "65f0c2a1b7d9e4f3a8b6c5d2", "--token-file", str(tmp_path / "token"))
    assert (code, token) == (0, agent_tokens.of_service("the gateway's own", "65f0c2a1b7d9e4f3a8b6c5d2"))


def test_what_is_missing_or_no_id_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TRIGGER_ENGINE_TOKEN", raising=False)
    code, said, wrong = printed(capsys, "agents")
    assert (code, said) == (exits.INVALID, "")
    assert "TRIGGER_ENGINE_TOKEN" in wrong
    code, _, wrong = printed(capsys, "agent", "a.b")
    assert code == exits.INVALID
    assert "'a.b' is no id of a service" in wrong
