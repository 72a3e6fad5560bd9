"""Which execution wrote a file: an extended attribute, or a sidecar named after the content. See `agent/child.py`.

The attribute outlives an edit in place, and then it would blame an execution for what a person did. Our functions put
a new file in the place of the old one, so an old attribute on the same inode is no news.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from backbone.model import causation
from backbone.model.causation import Causation
from launcher.cli.watching.snapshot import Change

ATTRIBUTE = "user.trigger_engine.causation"
SIDECAR_FOLDER = ".trigger-engine"
SIDECAR_NAME = "{sha256}.causation"


def written_form(file: Path) -> str:
    """What the file carries; empty when it carries nothing."""
    return _attribute(file) or _sidecar(file)


def of(change: Change, written: str) -> Causation | None:
    """The causation of a change of a file that carries `written`. Raises InvalidEvent when it does not read."""
    before = change.before
    if not written or change.action == "Deleted":
        return None
    if before is not None and before.causation == written and before.seen.inode == change.seen.inode:
        return None
    return causation.from_header(written)


def _attribute(file: Path) -> str:
    try:
        return os.getxattr(file, ATTRIBUTE).decode()
    except (OSError, AttributeError, UnicodeDecodeError):  # none, or a system without attributes
        return ""


def _sidecar(file: Path) -> str:
    folder = file.parent / SIDECAR_FOLDER
    if not folder.is_dir():
        return ""
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return (folder / SIDECAR_NAME.format(sha256=digest)).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
