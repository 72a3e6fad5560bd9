"""What a folder with code says: package.json, service.json and triggers.json, each of them optional."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from backbone.model import definitions
from backbone.model.definitions import Function, Module, PackageDocument, ServiceDocument
from backbone.model.errors import Invalid, InvalidDefinition, NotFound
from backbone.model.resources import Catalog
from launcher.cli import documents
from launcher.cli.declaring import files as trigger_files
from launcher.cli.declaring.files import DEFAULT_PROJECT, Checked, Written
from launcher.cli.deploying import archive

RUNNER = "ServiceRunner"


@dataclass(frozen=True, slots=True)
class Described:
    project: str
    package: PackageDocument
    service: ServiceDocument
    said: Collection[str]  #: the fields that service.json has; the others are left as they are
    triggers: Checked
    files: dict[str, Path]

    @property
    def modules(self) -> list[Any]:
        modules: list[Any] = msgspec.to_builtins(self.package.modules)
        return modules


def describe(folder: Path, project: str | None, catalog: Catalog) -> Described:
    """Raises Invalid naming the file and the field that is wrong; of triggers, all problems are in `triggers`."""
    if not folder.is_dir():
        raise NotFound("folder", str(folder))
    name = folder.resolve().name
    code = archive.files(folder)
    written = _read(folder, "service.json")
    with_name = {"name": name, **written}
    service = _in_file(folder / "service.json", definitions.parse_service, with_name)
    package = _package(folder, code, service.package_name or name)
    if service.package_name not in (None, package.name):
        reason = f"{service.package_name!r} is not the package of this folder, which is {package.name!r}"
        raise InvalidDefinition(f"{folder / 'service.json'}: packageName", reason)
    place = project or service.project or service.project_id or package.project or package.project_id or DEFAULT_PROJECT
    defaults = trigger_files.Defaults(project=place, service=service.name)
    return Described(
        project=place,
        package=package,
        service=service,
        said=frozenset(written),
        triggers=trigger_files.check(_triggers(folder, service), catalog, defaults),
        files=code,
    )


def _read(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    if not file.exists():
        return {}
    document = documents.read(file)
    if not isinstance(document, dict):
        raise InvalidDefinition(str(file), f"expected a JSON object, got {type(document).__name__}")
    return document


def _package(folder: Path, code: Collection[str], name: str) -> PackageDocument:
    file = folder / "package.json"
    written = _read(folder, "package.json")
    if not written and "main.py" not in code:
        raise InvalidDefinition(str(folder), "has neither a package.json nor a main.py: there is nothing to deploy")
    document = {"name": name, **written}
    if not document.get("modules"):
        document["modules"] = [msgspec.to_builtins(module_of((folder / "main.py").read_bytes(), "main.py"))]
    package: PackageDocument = _in_file(file, definitions.parse_package, document)
    for index, module in enumerate(package.modules):
        if module.entry_point not in code:
            raise InvalidDefinition(
                f"{file}: modules[{index}].entryPoint", f"{module.entry_point!r} is not in the folder"
            )
    return package


def module_of(source: bytes, name: str) -> Module:
    """The default module of a main.py: the methods of its ServiceRunner, or its plain functions."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        raise InvalidDefinition(name, f"is not Python: {line}{error.args[0]}") from None
    runner = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == RUNNER), None)
    functions = [
        Function(name=node.name, description=(ast.get_docstring(node) or "").partition("\n")[0])
        for node in (runner.body if runner else body)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    ]
    if not functions:
        raise InvalidDefinition(name, f"has no function to run: neither a class {RUNNER} nor a plain one")
    return Module(class_name=RUNNER if runner else None, functions=functions)


def _triggers(folder: Path, service: ServiceDocument) -> list[Written]:
    """Those of triggers.json and those inside service.json."""
    inside = [
        Written(f"{folder / 'service.json'}: triggers[{index}]", one) for index, one in enumerate(service.triggers)
    ]
    file = folder / "triggers.json"
    return inside + (trigger_files.inside(documents.read(file), str(file)) if file.exists() else [])


def _in_file(file: Path, parse: Any, document: Any) -> Any:
    try:
        return parse(document)
    except Invalid as error:
        raise InvalidDefinition(f"{file}: {error.path}".removesuffix(": "), error.reason) from None
