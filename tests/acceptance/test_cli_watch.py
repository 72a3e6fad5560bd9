"""`watch` and a running engine: nothing that happens to a file is lost, and nothing is told twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from agent import child
from backbone.model import causation
from backbone.model.causation import Causation, Link
from launcher.cli.watching import items, looking
from launcher.cli.watching.items import Place
from launcher.cli.watching.snapshot import Action, Change
from tests.support.command_line import running
from tests.support.engine import Engine
from tests.support.profiles import Environment
from tests.support.typist import KEEP_EVENTS, Typist


@pytest.fixture(scope="module")
def settings() -> Environment:
    return KEEP_EVENTS


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def watching(typist: Typist, photos: Path) -> Iterator[subprocess.Popen[str]]:
    with running("watch", photos, "--project", typist.project, **typist.environment) as process:
        wait_for(process.stderr, "watching ")
        yield process


def wait_for(stream: IO[str] | None, start: str) -> str:
    """The next line that starts so."""
    assert stream is not None
    for line in stream:
        if line.startswith(start):
            return line
    raise AssertionError(f"the command ended without {start!r}")


def once(typist: Typist, photos: Path) -> list[str]:
    """What one pass tells: the action and the file."""
    done = typist.told("watch", photos, "--once", "--project", typist.project)
    return sorted(" ".join(line.split()[:2]) for line in done.splitlines())


def told_of(typist: Typist, photos: Path, path: str, action: Action = "Created") -> Any:
    """The event, as the engine has it."""
    place = Place(photos, typist.project, photos.name)
    seen = looking.look(photos, path)
    assert seen is not None
    event_id = items.event_id(items.item_id(place, path), Change(action, path, seen, None))
    typist.until_carried()
    return typist.answered("events", "show", event_id, "--project", typist.project)


def test_what_changed_while_nobody_watched_is_found_at_the_next_pass(typist: Typist, photos: Path) -> None:
    assert once(typist, photos) == []
    (photos / "sub").mkdir()
    for name in ("a.jpg", "b.jpg", "sub/c.jpg", ".hidden.jpg"):
        (photos / name).write_bytes(b"abc")
    assert once(typist, photos) == ["Created /a.jpg", "Created /b.jpg", "Created /sub/c.jpg"]
    assert once(typist, photos) == []
    (photos / "a.jpg").write_bytes(b"abcd")
    shutil.rmtree(photos / "sub")
    assert once(typist, photos) == ["Deleted /sub/c.jpg", "Updated /a.jpg"]
    assert once(typist, photos) == []


def test_what_is_told_again_is_one_event(typist: Typist, photos: Path, engine: Engine) -> None:
    typist.deployed()
    typist.told("triggers", "apply", typist.written("t.json", typist.trigger()))
    (photos / "a.jpg").write_bytes(b"abc")
    once(typist, photos)
    forgetful = photos.parent / "forgetful"
    forgetful.mkdir()
    shutil.copy(engine.data / "gateway.json", forgetful)
    again = typist.told("watch", photos, "--once", "--project", typist.project, "--data", forgetful)
    assert "Created   /a.jpg" in again
    typist.until_carried()
    typist.until_idle()
    assert len(typist.executions()) == 1


def test_a_file_that_appears_changes_and_goes_is_told_of_at_once(
    watching: subprocess.Popen[str], typist: Typist, photos: Path
) -> None:
    (photos / "a.jpg").write_bytes(b"abc")
    assert wait_for(watching.stdout, "Created").split()[1] == "/a.jpg"
    event = told_of(typist, photos, "a.jpg")
    assert event["entity"]["filename"] == "/a.jpg"
    assert event["entity"]["datasetId"] == "photos"
    (photos / "a.jpg").write_bytes(b"abcd")
    assert wait_for(watching.stdout, "Updated").split()[1] == "/a.jpg"
    (photos / "a.jpg").unlink()
    assert wait_for(watching.stdout, "Deleted").split()[1] == "/a.jpg"


def test_a_folder_that_comes_with_files_is_told_of_file_by_file(
    watching: subprocess.Popen[str], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.jpg"):
        (tmp_path / "elsewhere" / name).write_bytes(b"abc")
    (tmp_path / "elsewhere").rename(photos / "new")
    told = {wait_for(watching.stdout, "Created").split()[1] for _ in range(2)}
    assert told == {"/new/a.jpg", "/new/deep/b.jpg"}
    (photos / "new").rename(tmp_path / "away")
    told = {wait_for(watching.stdout, "Deleted").split()[1] for _ in range(2)}
    assert told == {"/new/a.jpg", "/new/deep/b.jpg"}


def test_a_file_put_in_the_place_of_another_is_an_update(watching: subprocess.Popen[str], photos: Path) -> None:
    (photos / "a.jpg").write_bytes(b"abc")
    wait_for(watching.stdout, "Created")
    (photos / ".a.jpg.fresh").write_bytes(b"abcd")
    (photos / ".a.jpg.fresh").replace(photos / "a.jpg")
    assert wait_for(watching.stdout, "").split()[:2] == ["Updated", "/a.jpg"]


def test_what_a_function_wrote_carries_the_chain_that_led_to_it(typist: Typist, photos: Path, engine: Engine) -> None:
    key = asyncio.run(engine.value("SELECT key FROM signing_key"))
    chain = causation.signed(Causation(chain=(Link(event="e", trigger="t", execution="x"),)), key)
    written = photos / "gray.jpg"
    written.write_bytes(b"grey")
    child.attach_causation(str(written), str(photos), causation.to_header(chain).encode())
    (photos / "by-hand.jpg").write_bytes(b"by hand")
    once(typist, photos)
    carried = told_of(typist, photos, "gray.jpg")["causation"]
    assert carried == {"chain": [{"event": "e", "trigger": "t", "execution": "x"}]}
    assert "causation" not in told_of(typist, photos, "by-hand.jpg")


def test_a_causation_that_does_not_read_is_told_and_the_file_is_not_lost(typist: Typist, photos: Path) -> None:
    (photos / "a.jpg").write_bytes(b"abc")
    child.attach_causation(str(photos / "a.jpg"), str(photos), b"nonsense!")
    done = typist.typed("watch", photos, "--once", "--project", typist.project)
    assert done.returncode == 0
    assert "a.jpg: its causation does not read" in done.stderr
    assert "Created   /a.jpg" in done.stdout


def test_while_the_engine_does_not_answer_events_wait(typist: Typist, photos: Path, engine: Engine) -> None:
    data = photos.parent / "data"
    data.mkdir()
    (photos / "a.jpg").write_bytes(b"abc")
    with running("watch", photos, "--project", typist.project, "--data", data) as process:
        told = wait_for(process.stderr, "error: ")
        assert "start one with: trigger-engine up; 1 events wait" in told
        shutil.copy(engine.data / "gateway.json", data / "fresh")
        (data / "fresh").rename(data / "gateway.json")
        assert wait_for(process.stdout, "Created").split()[1] == "/a.jpg"
    assert told_of(typist, photos, "a.jpg")["entity"]["filename"] == "/a.jpg"


def test_a_name_that_is_not_utf8_is_told_and_does_not_stop_the_others(typist: Typist, photos: Path) -> None:
    Path(os.fsdecode(os.fsencode(photos) + b"/\xff.jpg")).write_bytes(b"abc")
    (photos / "a.jpg").write_bytes(b"abc")
    done = typist.typed("watch", photos, "--once", "--project", typist.project)
    assert done.returncode == 0
    assert "is left out: its name is not UTF-8" in done.stderr
    assert "Created   /a.jpg" in done.stdout


def test_ctrl_c_ends_a_watch_with_130(watching: subprocess.Popen[str]) -> None:
    watching.send_signal(signal.SIGINT)
    assert watching.wait(10) == 130


def test_a_folder_that_is_not_there_is_told(typist: Typist, photos: Path) -> None:
    done = typist.typed("watch", photos / "none", "--once")
    assert (done.returncode, "there is no folder" in done.stderr) == (3, True)


def test_hundreds_of_files_at_once_are_each_told_once(typist: Typist, photos: Path) -> None:
    names = [f"{number:03}.jpg" for number in range(450)]
    for name in names:
        (photos / name).write_bytes(name.encode())
    assert once(typist, photos) == [f"Created /{name}" for name in names]
    assert once(typist, photos) == []
