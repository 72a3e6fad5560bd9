"""A folder with code: what it says, what is packed, and what of it is new."""

from __future__ import annotations

import json
import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from backbone.model.errors import Invalid, InvalidDefinition, NotFound
from backbone.model.resources import Catalog
from launcher.cli.deploying import archive, folder, ignoring, revising
from launcher.cli.deploying.folder import Described

RUNNER = '''
import os

class ServiceRunner:
    def __init__(self): ...
    def run(self, item):
        """Turns it grey.

        Slowly."""
    async def check(self): ...
    def _secret(self): ...
'''


def write(top: Path, **files: str | dict[str, Any] | list[Any]) -> Path:
    for name, content in files.items():
        path = top / name.replace("__", "/").replace("_json", ".json").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return top


def describe(top: Path, project: str | None = None) -> Described:
    return folder.describe(top, project, Catalog())


def names(packed: bytes) -> list[str]:
    with zipfile.ZipFile(BytesIO(packed)) as zipped:
        return zipped.namelist()


def test_the_same_content_is_the_same_zip_whenever_and_wherever_it_was_written(tmp_path: Path) -> None:
    one = write(tmp_path / "one", main_py="def run(): ...", lib__a_py="A = 1")
    other = write(tmp_path / "other", lib__a_py="A = 1", main_py="def run(): ...")
    os.utime(other / "main.py", (0, 0))
    assert archive.packed(archive.files(one)) == archive.packed(archive.files(other))


def test_another_content_is_another_zip(tmp_path: Path) -> None:
    top = write(tmp_path, main_py="def run(): ...")
    before = archive.packed(archive.files(top))
    write(tmp_path, main_py="def run(): 1")
    assert archive.packed(archive.files(top)) != before


def test_what_is_no_code_is_left_behind(tmp_path: Path) -> None:
    top = write(tmp_path, main_py="", service_json={}, triggers_json=[], package_json={}, lib__service_json={})
    write(tmp_path, **{".git__config": "", ".venv__lib": "", "data__big.bin": "x"})
    (top / "__pycache__").mkdir()
    (top / "__pycache__" / "main.pyc").touch()
    (top / ".gitignore").write_text("data/\n")
    assert names(archive.packed(archive.files(top))) == [".gitignore", "lib/service.json", "main.py", "package.json"]


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    top = write(tmp_path / "top", main_py="")
    (top / "loop").symlink_to(top)
    assert list(archive.files(top)) == ["main.py"]


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path) -> None:
    top = write(tmp_path, main_py="")
    with (top / "big.bin").open("wb") as big:
        big.truncate(archive.MAX_BYTES + 1)
    with pytest.raises(InvalidDefinition, match="at most 100,000,000"):
        archive.files(top)


@pytest.mark.parametrize(
    ("gitignore", "path", "is_folder", "ignored"),
    [
        ("*.pyc", "a/b.pyc", False, True),
        ("*.pyc", "a/b.py", False, False),
        ("build/", "build", True, True),
        ("build/", "build", False, False),
        ("/notes.txt", "notes.txt", False, True),
        ("/notes.txt", "a/notes.txt", False, False),
        ("a/*.txt", "a/b.txt", False, True),
        ("a/*.txt", "a/b/c.txt", False, False),
        ("a/**/c.txt", "a/b/b/c.txt", False, True),
        ("**/c.txt", "c.txt", False, True),
        ("*.txt\n!keep.txt", "keep.txt", False, False),
        ("# comment\n\n", "comment", False, False),
        ("", "deep/__pycache__", True, True),
        ("!.git", ".git", True, True),
    ],
)
def test_gitignore_is_honoured(gitignore: str, path: str, is_folder: bool, ignored: bool) -> None:
    assert ignoring.is_ignored(path, is_folder, ignoring.rules(gitignore)) is ignored


def test_a_main_alone_is_a_package_a_service_and_no_triggers(tmp_path: Path) -> None:
    described = describe(write(tmp_path / "gray", main_py=RUNNER))
    (module,) = described.package.modules
    assert (described.project, described.package.name, described.service.name) == ("default", "gray", "gray")
    assert module.class_name == "ServiceRunner"
    assert [(function.name, function.description) for function in module.functions] == [
        ("run", "Turns it grey."),
        ("check", ""),
    ]
    assert described.triggers.declared == []


def test_plain_functions_are_a_module_without_a_class(tmp_path: Path) -> None:
    described = describe(write(tmp_path, main_py="def run(item): ...\ndef _hidden(): ..."))
    (module,) = described.package.modules
    assert module.class_name is None
    assert [function.name for function in module.functions] == ["run"]


def test_the_files_say_what_the_folders_name_does_not(tmp_path: Path) -> None:
    module = {"name": "m", "entryPoint": "src/run.py", "className": None, "functions": [{"name": "go"}]}
    flat = {"name": "old", "resource": "Item", "actions": ["Created"], "function": "go"}
    spec = {"resource": "Item", "actions": ["Updated"], "operation": {"functionName": "go"}}
    top = write(
        tmp_path,
        src__run_py="def go(): ...",
        package_json={"name": "p", "modules": [module]},
        service_json={"name": "s", "packageName": "p", "project": "demo", "triggers": [flat]},
        triggers_json={"name": "new", "spec": spec},
    )
    described = describe(top)
    assert (described.project, described.package.name, described.service.name) == ("demo", "p", "s")
    assert [(one.name, one.project, one.service) for one in described.triggers.declared] == [
        ("old", "demo", "s"),
        ("new", "demo", "s"),
    ]
    assert describe(top, "other").project == "other"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"readme_py": ""}, "neither a package.json nor a main.py"),
        ({"main_py": "def run(:"}, "main.py: is not Python: line 1"),
        ({"main_py": "X = 1"}, "main.py: has no function to run"),
        ({"main_py": RUNNER, "package_json": "[]"}, "package.json: expected a JSON object"),
        ({"main_py": RUNNER, "package_json": '{"name"'}, "package.json: is not JSON"),
        (
            {"package_json": {"modules": [{"entryPoint": "gone.py"}]}},
            r"package.json: modules\[0\].entryPoint: 'gone.py' is not in the folder",
        ),
        ({"main_py": RUNNER, "service_json": {"maxAttempts": 0}}, "service.json: maxAttempts: 0 is out of range"),
        (
            {"main_py": RUNNER, "package_json": {"name": "p"}, "service_json": {"packageName": "q"}},
            "'q' is not the pack",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_file_and_field(tmp_path: Path, files: Any, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        describe(write(tmp_path / "top", **files))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        describe(tmp_path / "none")


def test_the_modules_are_the_same_in_whatever_spelling_they_come_back(tmp_path: Path) -> None:
    described = describe(write(tmp_path, main_py=RUNNER))
    (module,) = described.modules
    spelled = {**module, "initInputs": None, "functions": [{**one, "input": None} for one in module["functions"]]}
    assert revising.same_modules({"modules": [spelled]}, described)
    assert not revising.same_modules({"modules": [{**spelled, "functions": []}]}, described)


def a_service(**changed: Any) -> dict[str, Any]:
    return {
        "packageRevision": "1.0.0",
        "runtime": {"concurrency": 10, "numReplicas": 1},
        "maxAttempts": 3,
        "active": True,
        **changed,
    }


def changed(top: Path, service: dict[str, Any], latest: str) -> list[tuple[str, Any, Any]]:
    differences = revising.service_changes(service, describe(top), latest)
    return [(difference.field, difference.before, difference.after) for difference in differences]


def test_a_service_follows_its_package_and_keeps_what_its_file_does_not_say(tmp_path: Path) -> None:
    top = write(tmp_path, main_py=RUNNER)
    paused = a_service(active=False, maxAttempts=9)
    assert changed(top, paused, "1.0.0") == []
    assert changed(top, paused, "1.0.1") == [("packageRevision", "1.0.0", "1.0.1")]


def test_a_service_becomes_what_its_file_says(tmp_path: Path) -> None:
    top = write(tmp_path, main_py=RUNNER, service_json={"maxAttempts": 5, "runtime": {"gpu": False, "replicas": 2}})
    assert changed(top, a_service(), "1.0.0") == [
        ("runtime", {"concurrency": 10, "numReplicas": 1}, {"concurrency": 10, "numReplicas": 2}),
        ("maxAttempts", 3, 5),
    ]


def test_a_pinned_revision_stays(tmp_path: Path) -> None:
    top = write(tmp_path, main_py=RUNNER, service_json={"packageRevision": "1.0.0"})
    assert changed(top, a_service(), "1.0.7") == []
