"""A service whose function writes back: what it writes, and what of its chain it loses, each trigger's input says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.engine import Engine, Project

CODE = '''
import itertools, json, urllib.error, urllib.request

numbers = itertools.count()

def run(item, context, url, project, writes, carry="header"):
    """Write one event for each of `writes`: {"tag", "action", "id": "same" or "new", "times"}."""
    headers = {"content-type": "application/json"}
    if carry == "header":
        headers.update(context.headers)
    events = []
    for write in writes:
        for _ in range(write.get("times", 1)):
            same = write.get("id", "new") == "same"
            entity = {"id": item["id"] if same else f"{context.execution_id}-{next(numbers)}", "tag": write["tag"]}
            event = {"resource": "Item", "action": write["action"], "project": project, "entity": entity}
            if "event" in write:
                entity["id"], event["entityId"] = write["event"], write["event"]
            if carry == "actor":
                event["actor"] = context.bot
            if carry == "shortened":
                chain = context.causation
                event["causation"] = {"chain": chain["chain"][:-1], "signature": chain["signature"]}
            if carry == "unsigned":
                event["causation"] = {"chain": context.causation["chain"][:-1] or [
                    {"event": "made up", "trigger": "made up", "execution": "made up"}
                ]}
            events.append(event)
    request = urllib.request.Request(url + "/api/v1/events", json.dumps(events).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())["accepted"]

def call(context, url, item=None, then="call", given=None):
    """Executes itself, or another function; gives back why it could not."""
    headers = {"content-type": "application/json", **context.headers}
    body = {"functionName": then, "input": given or {"url": url}}
    request = urllib.request.Request(
        f"{url}/api/v1/executions/{context.execution['serviceId']}", json.dumps(body).encode(), headers
    )
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        return {"status": error.code, **json.loads(error.read())}

def idle(item):
    return None
'''


def write(tag: str, action: str = "Created", **more: Any) -> dict[str, Any]:
    return {"tag": tag, "action": action, **more}


async def service(engine: Engine, name: str) -> Project:
    return await engine.project(
        name, CODE, [], functions=("run", "call", "idle"), runtime={"concurrency": 20}, maxAttempts=1
    )


async def trigger(
    here: Project,
    tag: str,
    writes: Sequence[dict[str, Any]],
    *,
    to: Project | None = None,
    carry: str = "header",
    **spec: Any,
) -> str:
    """Fires on items with this tag, and writes."""
    given = {"url": here.engine.url, "project": (to or here).name, "writes": list(writes), "carry": carry}
    actions = spec.pop("actions", ["Created"])
    mode = "Always" if actions == ["Updated"] else "Once"
    made = await here.engine.ask(
        "POST",
        "/triggers",
        {
            "name": f"on {tag}",
            "project": here.name,
            "spec": {
                "resource": "Item",
                "actions": actions,
                "filter": {"tag": tag},
                "executionMode": mode,
                "input": given,
                "operation": {"type": "function", "serviceId": here.service_id, "functionName": "run"},
                **spec,
            },
        },
    )
    return str(made["id"])
