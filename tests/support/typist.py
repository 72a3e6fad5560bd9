"""A person at a keyboard, with an engine to talk to and a project of their own in it."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from tests.support.command_line import answered, told, typed
from tests.support.engine import Engine

KEEP_EVENTS = {"TRIGGER_ENGINE_KEEP_EVENTS": "all"}
"""Of an engine whose events that matched nothing are looked for, too."""

MAIN = '''
import time

class ServiceRunner:
    def run(self, item, context):
        """Says which item it got."""
        print("got", item["id"] if isinstance(item, dict) else item)
        return {"item": item["id"] if isinstance(item, dict) else item}

    def fail(self):
        raise ValueError("on purpose")

    def wait(self):
        while True:
            time.sleep(0.05)
'''


class Typist:
    """Types commands for one engine, in a project of its own."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self.environment: dict[str, Any] = {"TRIGGER_ENGINE_DATA": str(engine.data)}
        self.folder = folder
        self.project = f"p-{uuid.uuid4().hex[:12]}"

    def typed(self, *words: str | Path, **given: Any) -> Any:
        return typed(*words, **self.environment, **given)

    def told(self, *words: str | Path, **given: Any) -> str:
        return told(*words, **self.environment, **given)

    def answered(self, *words: str | Path, **given: Any) -> Any:
        return answered(*words, **self.environment, **given)

    def written(self, name: str, document: Any) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        return file

    def deployed(self) -> Path:
        """A folder with a service, deployed into the project."""
        folder = self.written("gray/main.py", MAIN).parent
        self.told("deploy", folder, "--project", self.project)
        return folder

    def trigger(self, name: str = "grayscale", **spec: Any) -> dict[str, Any]:
        defaults = {
            "resource": "Item",
            "actions": ["Created"],
            "filter": {"metadata.system.mimetype": "image/*"},
            "operation": {"service": "gray", "functionName": "run"},
        }
        return {"name": name, "project": self.project, "spec": {**defaults, **spec}}

    def event(self, mimetype: str = "image/png", **changed: Any) -> dict[str, Any]:
        identity = uuid.uuid4().hex[:24]
        entity = {"id": identity, "metadata": {"system": {"mimetype": mimetype}}}
        return {"id": f"e-{identity}", "resource": "Item", "action": "Created", "entity": entity, **changed}

    def published(self, *events: dict[str, Any]) -> None:
        """Returns when they went through the engine."""
        self.told("publish", "-", "--project", self.project, input="\n".join(map(json.dumps, events)))
        self.until_carried()

    def until_carried(self) -> None:
        asyncio.run(self._engine.until_carried())

    def until_idle(self) -> str:
        return self.told("executions", "watch", "--project", self.project, "--until-idle")

    def executions(self, *options: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.answered("executions", "list", "--project", self.project, *options)
        return found
