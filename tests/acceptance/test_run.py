"""`trigger-engine run`, as whatever runs containers sees it."""

from __future__ import annotations

import asyncio
import os
import sys

import httpx

from tests.support.command_line import ROOT
from tests.support.servers import free_port

PATIENCE = 30.0


async def test_a_role_that_waits_for_its_servers_says_so_and_ends_well_when_it_is_told() -> None:
    port = free_port()
    nowhere = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "launcher.cli", "run", "dispatcher"),
        cwd=ROOT,
        env={
            **os.environ,
            "TRIGGER_ENGINE_DATABASE": f"postgresql://nobody@{nowhere}/nowhere",
            "TRIGGER_ENGINE_STATUS_PORT": str(port),
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            assert process.stderr is not None
            said = (await process.stderr.readline()).decode()
            assert "waits for PostgreSQL" in said
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                assert (await client.get("/healthz")).status_code == 200
                readiness = await client.get("/readyz")
                assert (readiness.status_code, readiness.json()["ready"]) == (503, False)
            process.terminate()
            assert (await process.communicate())[1] is not None
            assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
