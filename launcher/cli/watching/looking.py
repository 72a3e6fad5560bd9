"""What there is in a watched folder: regular files, by their path from the top. Hidden ones are nobody's business."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """A file at one moment. The same size and time at two moments is the same content."""

    mtime_ns: int
    size: int
    inode: int

    def is_content_of(self, other: Seen | None) -> bool:
        return other is not None and (self.mtime_ns, self.size) == (other.mtime_ns, other.size)


def is_watched(path: str) -> bool:
    return bool(path) and not any(part.startswith(".") for part in path.split("/"))


def is_nameable(path: str) -> bool:
    """JSON has no words for a name that is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def look(folder: Path, path: str) -> Seen | None:
    """The file at `path`; None when there is none, or what is there is no file."""
    try:
        found = (folder / path).stat()
    except (OSError, ValueError):
        return None
    return Seen(found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def files_below(folder: Path, path: str = "") -> Iterator[str]:
    """The watched files at and below `path`; what vanishes meanwhile is simply not among them."""
    if path and not is_watched(path):
        return
    if (folder / path).is_file():
        yield path
    top = str(folder / path) if path else str(folder)
    for place, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(place, folder).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        for name in sorted(names):
            if not name.startswith("."):
                yield prefix + name
