"""The command line, loaded once and forked for each command that is typed: `python -m …loaded_command_line SOCKET`.

A command still is a process of its own, with its own words, folder, environment and files; what it does not do again
is load Python and what all commands stand on, which takes longer than most of them.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import pkgutil
import socket
import sys

MOST = 1_000_000  # bytes of what is asked
STARTS_OTHERS = ("launcher.cli.__main__", "launcher.cli.commands.up", "launcher.cli.commands.run")


def main(asked: socket.socket) -> None:
    """Until whoever asks has gone. Answers the process id, then its exit code."""
    _load()
    while True:
        message, files, _, _ = socket.recv_fds(asked, MOST, 3)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            asked.close()
            _become(json.loads(message), files)
        for file in files:
            os.close(file)
        asked.send(array.array("i", [pid]).tobytes())
        asked.send(array.array("i", [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]).tobytes())


def _load() -> None:
    import launcher.cli

    importlib.import_module("anyio._backends._asyncio")  # what httpx loads when it asks for the first time
    for module in pkgutil.walk_packages(launcher.cli.__path__, "launcher.cli."):
        if module.name not in STARTS_OTHERS:
            importlib.import_module(module.name)


def _become(asked: dict[str, object], files: list[int]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(str(asked["cwd"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    sys.argv = ["trigger-engine", *asked["words"]]  # type: ignore[misc]
    from launcher.cli import main as command

    code = 1
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
