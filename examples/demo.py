"""`make demo`: the main job on real photographs, from a folder to settled executions, and a real loop that is stopped.

Real photographs are copied into a watched folder. Each raises an event; the trigger of the platform's tutorial, which
has no filter, turns it gray; the gray copy raises an event of its own and would go round for ever. Everything is
left in ./demo to be looked at; exits 0 when all came out as it must.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
HERE = Path(__file__).parent
FOLDER = Path("demo")
PATIENCE = 60.0  # seconds


def main() -> int:
    # A shell that runs this in the background has Ctrl-C ignored, and what is started here would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    photos = FOLDER / "photos"
    photos.mkdir(parents=True)
    with running("up", "--port", "0", log=FOLDER / "up.log"):
        wait_for("the engine", lambda: ask("/readyz")["ready"])
        command("deploy", str(HERE / "grayscale"), "--project", "demo")
        with running("watch", str(photos), "--project", "demo", "--dataset", "photos", log=FOLDER / "watch.log"):
            say(f"{len(PHOTOS)} photographs arrive in {photos}")
            for name in PHOTOS:
                shutil.copy(photograph(name), photos / name)
            wait_for("the executions", lambda: ended(executions()) >= 2 * len(PHOTOS))
            wait_for("the loop to be stopped", lambda: stopped(incidents()) >= len(PHOTOS))
        show_executions(executions())
        show_incidents(incidents())
        good = is_right(executions(), incidents(), photos)
    print(f"\nThe pictures are in {photos / 'gray'}, the log in {FOLDER / 'up.log'}.")
    print(f"{'It all came out right' if good else 'SOMETHING IS WRONG'}, in {time.monotonic() - began:.1f} s.")
    return 0 if good else 1


def is_right(executions: list[dict[str, Any]], incidents: list[dict[str, Any]], photos: Path) -> bool:
    gray = sorted(path.stem for path in (photos / "gray").iterdir())
    return (
        all(execution["latestStatus"]["status"] == "success" for execution in executions)
        and len(executions) == 2 * len(PHOTOS)
        and len(incidents) == 1
        and stopped(incidents) == len(PHOTOS)
        and gray == sorted(Path(name).stem for name in PHOTOS)
        and not (photos / "gray" / "gray").exists()
    )


# What is shown


def show_executions(executions: list[dict[str, Any]]) -> None:
    triggers = {trigger["id"]: trigger["name"] for trigger in query("triggers")}
    say("what ran")
    rows = [
        (
            file_of(execution["eventContext"]["eventId"]),
            triggers[execution["triggerId"]],
            execution["functionName"],
            execution["latestStatus"]["status"],
            f"{execution['duration'] * 1000:.0f} ms",
            json.dumps(execution["output"]),
        )
        for execution in sorted(executions, key=lambda execution: str(execution["id"]))
    ]
    table(("EVENT: A NEW FILE", "TRIGGER", "FUNCTION", "STATUS", "TOOK", "OUTPUT"), rows)


def stopped(incidents: list[dict[str, Any]]) -> int:
    return sum(incident["stopped"] for incident in incidents)


def show_incidents(incidents: list[dict[str, Any]]) -> None:
    say("what was stopped, and why")
    for incident in incidents:
        links = [f"{file_of(link['event'])} -> {link['triggerName']}" for link in incident["chain"]]
        chain = " -> ".join([*links, f"{file_of(incident['eventId'])} -> {incident['triggerName']} again"])
        latest = ask(f"/api/v1/incidents/{incident['id']}")["latest"]
        print(f"  {chain}")
        print(f"  reason: {incident['reason']}")
        print(f"  {incident['stopped']} were stopped: {', '.join(sorted(file_of(one['eventId']) for one in latest))}")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say(sentence: str) -> None:
    print(f"\n== {sentence}", flush=True)


# The engine, as a user drives it


def trigger_engine(*words: str) -> list[str]:
    return [sys.executable, "-m", "launcher.cli", *words]


def command(*words: str) -> None:
    say("trigger-engine " + " ".join(words))
    subprocess.run([*trigger_engine(*words), "--data", str(data())], check=True)


@contextlib.contextmanager
def running(*words: str, log: Path) -> Iterator[None]:
    say("trigger-engine " + " ".join(words))
    with log.open("w") as file:
        process = subprocess.Popen([*trigger_engine(*words), "--data", str(data())], stdout=file, stderr=file)
    try:
        yield
    except BaseException:
        print(f"\n{log}:\n{log.read_text()[-4000:]}", file=sys.stderr)
        raise
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def data() -> Path:
    return FOLDER / ".trigger-engine"


def ask(path: str, body: Any = None) -> Any:
    gateway = json.loads((data() / "gateway.json").read_text())
    document = None if body is None else json.dumps(body).encode()
    request = Request(gateway["url"] + path, document, {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def query(resource: str) -> list[dict[str, Any]]:
    found = ask("/api/v1/query/faas", {"resource": resource, "filter": {}, "page": 0, "pageSize": 100})
    items: list[dict[str, Any]] = found["items"]
    return items


def executions() -> list[dict[str, Any]]:
    return query("executions")


def incidents() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = ask("/api/v1/incidents")["items"]
    return items


def ended(executions: list[dict[str, Any]]) -> int:
    return sum(execution["latestStatus"]["status"] not in ("created", "in-progress") for execution in executions)


def file_of(event_id: str) -> str:
    return str(ask(f"/api/v1/events/{event_id}?project=demo")["entity"]["filename"])


def photograph(name: str) -> Path:
    import skimage

    return Path(skimage.__file__).parent / "data" / name


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # it does not listen yet
            if happened():
                return
        time.sleep(0.1)
    raise SystemExit(f"gave up waiting for {what} after {PATIENCE:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
