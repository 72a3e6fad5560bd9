"""`watch`: what is seen, when it is complete, what is told of it, and where it came from."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import child
from backbone.model import causation, dql, envelopes
from backbone.model.causation import Causation, Link
from backbone.model.errors import InvalidEvent, NotFound, Unavailable
from backbone.model.resources import Catalog
from launcher.cli.watching import items, looking, provenance, snapshot
from launcher.cli.watching.items import Place
from launcher.cli.watching.looking import Seen
from launcher.cli.watching.settling import STEADY, Settling
from launcher.cli.watching.snapshot import Change, Snapshot, Told

SEEN = Seen(1_700_000_000_123_456_789, 3, 7)
LATER = Seen(1_700_000_001_000_000_000, 3, 7)
TOLD = Told(SEEN, SEEN.mtime_ns, "")
PLACE = Place(Path("/photos"), "demo", "photos")
CHAIN = Causation(chain=(Link(event="e", trigger="t", execution="x"),))
WRITTEN = causation.to_header(CHAIN)
WAIT = STEADY.total_seconds()


def test_hidden_files_and_what_is_below_hidden_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.jpg", ".c.jpg", ".git/d.jpg", "sub/.trigger-engine/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(looking.files_below(tmp_path)) == ["a.jpg", "sub/b.jpg"]
    assert list(looking.files_below(tmp_path, "sub")) == ["sub/b.jpg"]
    assert list(looking.files_below(tmp_path, "a.jpg")) == ["a.jpg"]
    assert list(looking.files_below(tmp_path, ".git")) == []
    assert not looking.is_watched(".git/d.jpg")


def test_only_files_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    seen = looking.look(tmp_path, "a.jpg")
    assert seen is not None
    assert seen.size == 3
    assert [looking.look(tmp_path, name) for name in ("folder", "broken", "gone")] == [None, None, None]


def test_a_file_settles_when_it_has_not_changed_for_long_enough() -> None:
    settling = Settling()
    settling.saw("a", SEEN, 0)
    assert settling.settled(WAIT / 2) == {}
    settling.saw("a", LATER, WAIT / 2)
    assert settling.settled(WAIT) == {}
    settling.saw("a", LATER, WAIT)
    assert settling.settled(WAIT * 1.5) == {"a": LATER}
    assert settling.paths() == []


def test_absence_settles_too_so_that_a_replaced_file_is_not_deleted() -> None:
    settling = Settling()
    settling.saw("a", None, 0)
    settling.saw("a", LATER, WAIT / 2)
    assert settling.settled(WAIT * 2) == {"a": LATER}


def test_what_changed_is_created_updated_or_deleted() -> None:
    told = {"same": TOLD, "touched": TOLD, "gone": TOLD}
    now = {"same": Seen(SEEN.mtime_ns, SEEN.size, 99), "touched": LATER, "gone": None, "new": SEEN, "never": None}
    found = {change.path: change.action for change in snapshot.changes(told, now)}
    assert found == {"touched": "Updated", "gone": "Deleted", "new": "Created"}


def test_a_snapshot_is_found_again_and_belongs_to_one_folder_project_and_dataset(tmp_path: Path) -> None:
    first = Snapshot.of(tmp_path, tmp_path / "photos", "demo", "photos")
    first.told["a.jpg"] = TOLD
    first.save()
    assert Snapshot.of(tmp_path, tmp_path / "photos", "demo", "photos").told == {"a.jpg": TOLD}
    assert Snapshot.of(tmp_path, tmp_path / "photos", "demo", "other").told == {}
    assert len(list((tmp_path / "watch").iterdir())) == 1


def test_a_snapshot_that_does_not_read_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("[]")
    with pytest.raises(Unavailable, match=r"s\.json cannot be read"):
        Snapshot(tmp_path / "s.json")


def test_a_file_is_an_item_of_the_platform() -> None:
    item = items.item(PLACE, Change("Created", "sub/x.jpg", SEEN, None))
    assert item == {
        "id": items.item_id(PLACE, "sub/x.jpg"),
        "name": "x.jpg",
        "filename": "/sub/x.jpg",
        "dir": "/sub",
        "type": "file",
        "hidden": False,
        "datasetId": "photos",
        "metadata": {"system": {"size": 3, "mimetype": "image/jpeg", "originalname": "x.jpg"}},
        "createdAt": "2023-11-14T22:13:20.123Z",
        "updatedAt": "2023-11-14T22:13:20.123Z",
        "stream": "file:///photos/sub/x.jpg",
    }
    assert dql.compile({"metadata.system.mimetype": "image/*", "dir": "/sub"}).matches(item)


def test_a_file_at_the_top_is_in_the_root() -> None:
    item = items.item(PLACE, Change("Created", "x.unknown", SEEN, None))
    assert (item["dir"], item["filename"]) == ("/", "/x.unknown")
    assert item["metadata"]["system"]["mimetype"] == "application/octet-stream"


def test_an_update_keeps_when_the_item_was_created() -> None:
    item = items.item(PLACE, Change("Updated", "x.jpg", LATER, TOLD))
    assert item["createdAt"] < item["updatedAt"]


def test_the_item_is_the_same_for_the_same_project_dataset_and_path_only() -> None:
    places = [PLACE, Place(PLACE.folder, "other", "photos"), Place(PLACE.folder, "demo", "other")]
    found = {items.item_id(place, path) for place in places for path in ("a", "b")}
    assert len(found) == 6
    assert items.item_id(Place(Path("/elsewhere"), "demo", "photos"), "a") in found
    assert all(len(one) == 24 and int(one, 16) for one in found)


def test_the_same_change_told_twice_is_the_same_bytes() -> None:
    change = Change("Created", "x.jpg", SEEN, None)
    assert items.event(PLACE, change, CHAIN) == items.event(PLACE, change, CHAIN)


def test_another_action_time_or_size_is_another_event() -> None:
    variants = [
        Change("Created", "x", SEEN, None),
        Change("Updated", "x", SEEN, TOLD),
        Change("Created", "x", LATER, None),
        Change("Created", "x", Seen(SEEN.mtime_ns, 4, 7), None),
    ]
    assert len({items.event_id("i", change) for change in variants}) == 4


@pytest.mark.parametrize("carried", [None, CHAIN])
def test_the_event_is_one_that_the_engine_takes(carried: Causation | None) -> None:
    document = items.event(PLACE, Change("Created", "x.jpg", SEEN, None), carried)
    submission = envelopes.decode(document, Catalog(), datetime.now(UTC))
    assert (submission.project, submission.event.resource, submission.event.action) == ("demo", "Item", "Created")
    assert submission.event.entity_id == json.loads(document)["entity"]["id"]
    assert submission.event.causation == carried


def test_where_files_carry_their_causation_is_where_functions_put_it() -> None:
    assert provenance.ATTRIBUTE == child.CAUSATION_ATTRIBUTE
    assert provenance.SIDECAR_FOLDER == child.SIDECAR_FOLDER
    assert provenance.SIDECAR_NAME == child.SIDECAR_NAME


def test_what_a_function_attached_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.jpg"
    file.write_bytes(b"grey")
    assert provenance.written_form(file) == ""
    child.attach_causation(str(file), str(tmp_path), WRITTEN.encode())
    assert provenance.written_form(file) == WRITTEN


def test_the_sidecar_belongs_to_a_content(tmp_path: Path) -> None:
    file = tmp_path / "x.jpg"
    file.write_bytes(b"grey")
    (tmp_path / ".trigger-engine").mkdir()
    digest = hashlib.sha256(b"grey").hexdigest()
    (tmp_path / ".trigger-engine" / f"{digest}.causation").write_text(WRITTEN)
    assert provenance.written_form(file) == WRITTEN
    file.write_bytes(b"edited by a person")
    assert provenance.written_form(file) == ""


def test_a_change_carries_what_its_file_carries() -> None:
    assert provenance.of(Change("Created", "x", SEEN, None), WRITTEN) == CHAIN
    assert provenance.of(Change("Created", "x", SEEN, None), "") is None
    assert provenance.of(Change("Deleted", "x", SEEN, TOLD), WRITTEN) is None


def test_an_attribute_that_outlived_an_edit_in_place_blames_nobody() -> None:
    before = Told(SEEN, SEEN.mtime_ns, WRITTEN)
    edited_in_place = Change("Updated", "x", LATER, before)
    put_in_its_place = Change("Updated", "x", Seen(LATER.mtime_ns, 3, 8), before)
    assert provenance.of(edited_in_place, WRITTEN) is None
    assert provenance.of(put_in_its_place, WRITTEN) == CHAIN


def test_a_causation_that_does_not_read_is_told() -> None:
    with pytest.raises(InvalidEvent):
        provenance.of(Change("Created", "x", SEEN, None), "not base64url!")


def test_a_name_that_is_not_utf8_has_no_words_in_json() -> None:
    assert looking.is_nameable("größe.jpg")
    assert not looking.is_nameable(os.fsdecode(b"\xff.jpg"))


def test_a_dataset_is_named_after_its_folder(tmp_path: Path) -> None:
    assert Place.of(tmp_path, "demo", None).dataset == tmp_path.name
    with pytest.raises(NotFound):
        Place.of(tmp_path / "none", "demo", None)
