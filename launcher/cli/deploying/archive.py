"""A folder's code as a zip whose bytes depend on its content alone: the same content is the same codebase."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from backbone.model.errors import InvalidDefinition
from launcher.cli.deploying import ignoring

MAX_BYTES = 100_000_000
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip knows
NOT_CODE = frozenset({"service.json", "triggers.json"})
"""A changed trigger does not make a new revision of the code."""


def files(folder: Path) -> dict[str, Path]:
    """The code in `folder`, by relative path with slashes. Raises InvalidDefinition when it is too large."""
    gitignore = folder / ".gitignore"
    rules = ignoring.rules(gitignore.read_text()) if gitignore.is_file() else []
    found = {path: folder / path for path in _walk(folder, "", rules) if path not in NOT_CODE}
    size = sum(file.stat().st_size for file in found.values())
    if size > MAX_BYTES:
        raise InvalidDefinition(
            str(folder), f"has {size:,} bytes; at most {MAX_BYTES:,} are taken. Name in .gitignore what is not needed"
        )
    return found


def _walk(folder: Path, prefix: str, rules: list[ignoring.Rule]) -> Iterator[str]:
    with os.scandir(folder / prefix) as entries:
        for entry in entries:
            path = prefix + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if ignoring.is_ignored(path, is_folder, rules):
                continue
            if is_folder:
                yield from _walk(folder, f"{path}/", rules)
            elif entry.is_file():
                yield path


def packed(files: Mapping[str, Path]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, wherever we run
            info.external_attr = (0o100755 if files[path].stat().st_mode & 0o100 else 0o100644) << 16
            archive.writestr(info, files[path].read_bytes())
    return target.getvalue()
