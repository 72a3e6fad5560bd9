"""The folder of an embedded PostgreSQL server: who owns it, what is where, and what the server wrote about itself.

FOLDER/           0700, of the user who runs us
  lock            held for as long as a server object owns the folder; says which process that is
  cluster/        PostgreSQL's data directory, with its log/
  start.log       what the server said before it opened its log
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from backbone.model.errors import Conflict, Unavailable

NOBODY = 65534
PORT = 5432  # part of the socket's file name, nothing else
SOCKET_PATH_LIMIT = 107


def server_uid() -> int:
    """The user PostgreSQL runs as: ours, or nobody when we are root, which it refuses."""
    return os.geteuid() or NOBODY


class PostgresFolder:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.cluster = self.path / "cluster"
        self.start_log = self.path / "start.log"
        self._lock: int | None = None

    @property
    def is_owned(self) -> bool:
        return self._lock is not None

    @property
    def name(self) -> str:
        """Names this very folder on this machine, by whatever path or mount it is reached."""
        status = self.path.stat()
        return f"trigger-engine-{status.st_dev:x}-{status.st_ino:x}"

    def own(self) -> None:
        if self._lock is not None:
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (owner := self.path.stat().st_uid) != os.geteuid():
            raise Conflict(f"{self.path} belongs to uid {owner}, this process is uid {os.geteuid()}")
        self.path.chmod(0o700)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode()
            os.close(lock)
            raise Conflict(f"the PostgreSQL server in {self.path} belongs to the running process {holder}") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def unfinished_cluster(self) -> Path:
        """Where initdb works, so that a killed one is never taken for a cluster."""
        for left in self.path.glob("unfinished-*"):
            shutil.rmtree(left, ignore_errors=True)  # its initdb may still be ending
        return self.path / f"unfinished-{os.getpid()}"

    def prepare_start(self) -> None:
        """Only while no process of this cluster lives."""
        if self.cluster.stat().st_uid != server_uid():
            self._give_cluster_to(server_uid())
        self._remove_stale_lock()

    def _give_cluster_to(self, uid: int) -> None:
        for folder, _, files in os.walk(self.cluster):
            for path in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(path, uid, uid, follow_symlinks=False)

    def _remove_stale_lock(self) -> None:
        """PostgreSQL asks only whether the number in its lock file is taken: by an unreaped process, by anything."""
        lock = self.cluster / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if _answers(lambda: not Path("/proc/self").exists() or Path(f"/proc/{pid}/cwd").samefile(self.cluster)):
            return  # somebody started a server by hand: PostgreSQL says so better
        lock.unlink()

    def state_of(self, postmaster: int) -> str:
        """What it says of itself in the eighth line of its lock file: starting, ready, stopping."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[7].strip() if len(lines) > 7 and lines[0] == str(postmaster) else ""

    def last_words(self, lines: int = 3) -> str:
        newest = max([self.start_log, *self.cluster.glob("log/*.log")], key=lambda each: each.stat().st_mtime_ns)
        with newest.open("rb") as file:
            file.seek(max(0, newest.stat().st_size - 2000))
            return " | ".join(file.read().decode(errors="replace").strip().splitlines()[-lines:])

    def make_socket_folder(self) -> Path:
        """A short path that stays the same, made where everybody may write: so whose it is, is checked."""
        name = f"{self.name}-{os.geteuid()}"
        folder = Path(tempfile.gettempdir(), name)
        if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) > SOCKET_PATH_LIMIT:
            folder = Path("/tmp", name)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise Unavailable("PostgreSQL", f"{folder} is not a private folder of uid {os.geteuid()}") from None
        return folder


def _answers(question: Callable[[], bool]) -> bool:
    """A question about a process: it may be gone (no), or hidden from us (perhaps, so yes)."""
    try:
        return question()
    except PermissionError:
        return True
    except OSError:
        return False
