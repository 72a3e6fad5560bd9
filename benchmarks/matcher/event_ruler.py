"""event-ruler in a process of its own: `ruler/` built with Maven, asked over a pipe, timed by its own thread's CPU."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent / "ruler"
JAR = HERE / "target" / "ruler.jar"
LIBRARIES = HERE / "target" / "libraries"
HEAP = "3g"


@dataclass(frozen=True, slots=True)
class Pass:
    matches: int
    cpu: float
    wall: float


class EventRuler:
    """One JVM: events are loaded once, then come machines. Its processors are those of this process."""

    def __init__(self, folder: Path) -> None:
        self._rules = folder / "rules.txt"
        command = ["java", f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseSerialGC"]
        command += ["-cp", f"{JAR}:{LIBRARIES}/*", "matcher.Matching"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def events(self, path: Path) -> int:
        return int(self._ask(f"events {path}")[0])

    def rules(self, rules: Iterable[str], seconds: float = 60.0) -> tuple[int, float]:
        """How many it took in so many CPU seconds, and the CPU seconds it used."""
        self._rules.write_text("".join(f"{rule}\n" for rule in rules))
        taken, cpu = self._ask(f"rules {seconds} {self._rules}")
        return int(taken), int(cpu) / 1e9

    def count(self) -> list[int]:
        """How often each rule matches in all events."""
        return [int(each) for each in self._ask("count")]

    def run(self, first: int) -> Pass:
        matches, cpu, wall = map(int, self._ask(f"pass {first}"))
        return Pass(matches, cpu / 1e9, wall / 1e9)

    def _ask(self, request: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"event-ruler ended at {request!r} with {self._process.wait()}")
        return answer.split()


def missing() -> str | None:
    """Why event-ruler cannot take part, if so; builds it if it was not yet."""
    if shutil.which("java") is None:
        return "there is no java"
    if JAR.exists():
        return None
    if shutil.which("mvn") is None:
        return "there is no mvn to build it with"
    build = subprocess.run(["mvn", "-q", "-B", "package"], cwd=HERE, capture_output=True, text=True)
    if build.returncode:
        lines = [*build.stdout.splitlines(), f"mvn ended with {build.returncode}"]
        return next(line for line in lines if line.strip())
    return None
