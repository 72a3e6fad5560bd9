"""An environment in which every sync of a file takes longer. Linux, and a C compiler named cc."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("slow_sync.c")


@contextmanager
def preloaded(milliseconds: float = 5) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="trigger-engine-slow-sync-") as folder:
        library = Path(folder) / "slow_sync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
        # PostgreSQL may run as another user.
        Path(folder).chmod(0o755)
        library.chmod(0o755)
        yield {"LD_PRELOAD": str(library), "SLOW_SYNC_US": str(round(milliseconds * 1000))}
