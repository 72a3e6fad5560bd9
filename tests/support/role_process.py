"""`trigger-engine run ROLE` beside others on the same servers, asked over its own pages."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from launcher import become
from tests.support import engine_processes, servers
from tests.support.engine import ROOT


class RoleProcess:
    """Known by `data`, as the processes of an `up` on that folder are."""

    def __init__(self, role: str, data: Path, environment: Mapping[str, str], *options: str) -> None:
        self.log = data.with_name(f"{data.name}-run-{role}.log")
        self._port = servers.free_port()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIGGER_ENGINE_")}
        dies_with_us = [become.__file__, str(os.getpid()), str(signal.SIGKILL.value), str(os.geteuid())]
        words = ["run", role, "--data", str(data), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", *dies_with_us, sys.executable, "-m", "launcher.cli", *words],
                cwd=ROOT,
                env={
                    **inherited,
                    engine_processes.MARK: str(data),
                    **environment,
                    "TRIGGER_ENGINE_STATUS_PORT": str(self._port),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def metric(self, name: str) -> float:
        """0 while nobody answers."""
        try:
            page = httpx.get(f"http://127.0.0.1:{self._port}/metrics", trust_env=False, timeout=5).text
        except httpx.TransportError:
            return 0.0
        found = re.search(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)
