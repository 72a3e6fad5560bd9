"""Files with triggers: one, an array, or {"triggers": [...]}; a folder is its *.json files. Pure but for the reading.

Every trigger is judged alone, so that all that is wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backbone.model import dql, triggers
from backbone.model.errors import Invalid, InvalidTrigger
from backbone.model.resources import Catalog
from launcher.cli import documents

DEFAULT_PROJECT = "default"
SCANS = "is of the class scan: asked of every event, and a project may have only so many (docs/filters.md)"


@dataclass(frozen=True, slots=True)
class Written:
    """A trigger as it stands in a file. `place`: the file and where in it."""

    place: str
    document: Any


@dataclass(frozen=True, slots=True)
class Declared:
    """A trigger that is well, and names what `apply` needs to find it again."""

    place: str
    project: str | None  #: None: of every project
    name: str
    service: str
    service_project: str | None  #: where the service is looked for by its name; None: in every project
    draft: triggers.TriggerDraft
    says_active: bool  #: otherwise a trigger that somebody paused stays so


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a trigger that does not say it belongs to."""

    project: str | None = None
    service: str | None = None


@dataclass
class Checked:
    declared: list[Declared] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  #: what is allowed and may surprise

    @property
    def serviceless(self) -> list[Declared]:
        return [one for one in self.declared if one.draft.service is None]


def read(paths: Sequence[Path]) -> tuple[list[Written], list[str]]:
    """The triggers of files and folders, and what could not be read."""
    written: list[Written] = []
    problems: list[str] = []
    for file in _files(paths):
        try:
            written += inside(documents.read(file), str(file))
        except Invalid as problem:
            problems.append(str(problem))
    return written, problems


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.json"))
        else:
            yield path


def inside(document: Any, name: str) -> list[Written]:
    if isinstance(document, list):
        return [Written(f"{name}[{index}]", one) for index, one in enumerate(document)]
    if isinstance(document, dict) and "triggers" in document:
        extra = sorted(set(document) - {"triggers", "$schema"})
        if extra:
            raise InvalidTrigger(f"{name}: {extra[0]}", "is not a known field beside 'triggers'; known: $schema")
        if not isinstance(document["triggers"], list):
            raise InvalidTrigger(f"{name}: triggers", "expected an array of triggers")
        return [Written(f"{name}: triggers[{index}]", one) for index, one in enumerate(document["triggers"])]
    return [Written(name, document)]


def check(written: Sequence[Written], catalog: Catalog, defaults: Defaults = Defaults()) -> Checked:
    checked = Checked()
    taken: dict[tuple[str | None, str], str] = {}
    for one in written:
        try:
            declared = _declared(one, catalog, defaults)
        except Invalid as problem:
            checked.problems.append(f"{one.place}: {problem}")
            continue
        before = taken.setdefault((declared.project, declared.name), one.place)
        if before != one.place:
            checked.problems.append(
                f"{one.place}: name: {declared.name!r} is also in {before}; a name stands once in a project"
            )
            continue
        checked.declared.append(declared)
        ignored = dql.compile(declared.draft.filter).ignored
        checked.remarks += [f"{one.place}: filter: {part} is ignored" for part in ignored]
        if declared.draft.scans:
            checked.remarks.append(f"{one.place}: filter: {SCANS}")
    return checked


def _declared(written: Written, catalog: Catalog, defaults: Defaults) -> Declared:
    draft = triggers.parse(written.document, catalog, strict=True)
    if not draft.name:
        raise InvalidTrigger("name", "is missing: a trigger is found again by its name and project")
    service = draft.service or defaults.service
    if not service:
        path = "spec.operation.service" if "spec" in written.document else "service"
        raise InvalidTrigger(path, "is missing: the service whose function is to run")
    project = None if draft.org_wide else draft.project or defaults.project or DEFAULT_PROJECT
    return Declared(
        place=written.place,
        project=project,
        name=draft.name,
        service=service,
        service_project=project or defaults.project,
        draft=draft,
        says_active="active" in written.document,
    )
