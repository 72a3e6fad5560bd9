"""What a function is called with: inputs, the event's entity, `event`, `progress` and `context`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent import child
from agent.process import LoadFailed
from tests.support.function_process import serving

EVENT = {
    "id": "event-1",
    "resource": "Item",
    "action": "Created",
    "projectId": "project-1",
    "entity": {"id": "item-1", "name": "cat.jpg", "datasetId": "dataset-1"},
}
CHAIN = {"chain": [{"event": "event 1", "trigger": "trigger-0", "execution": "execution-0"}], "note": "ü?>"}

FUNCTIONS = """
def one(item): return item
def picture(photo): return photo
def optional(item=None, size=7): return [item, size]
def both(item, size): return [item, size]
def everything(**given): return given
def with_event(event): return event
def with_all(item, event, progress, context, n=1):
    return [item["id"], event["id"], type(progress).__name__, context.execution_id, n]
def assignment(assignment): return assignment
def decorated(*args, **kwargs): return [list(args), kwargs]
def nothing(): return "called"
"""


@pytest.mark.parametrize(
    ("function", "given", "event", "output"),
    [
        ("one", {"item": 5}, None, 5),
        ("one", {"item": 5}, EVENT, 5),
        ("one", {}, EVENT, EVENT["entity"]),
        ("one", {}, {**EVENT, "resource": "ItemStatus"}, EVENT["entity"]),
        ("one", {"item": 5, "unknown": 6}, None, 5),
        ("picture", {}, EVENT, EVENT["entity"]),
        ("assignment", {}, {**EVENT, "resource": "Assignment"}, EVENT["entity"]),
        ("optional", {}, None, [None, 7]),
        ("optional", {"size": 3}, EVENT, [EVENT["entity"], 3]),
        ("optional", {}, {**EVENT, "resource": "Task"}, [None, 7]),
        ("everything", {"a": 1, "b": [2]}, None, {"a": 1, "b": [2]}),
        ("with_event", {}, EVENT, EVENT),
        ("with_event", {}, None, None),
        ("with_all", {}, EVENT, ["item-1", "event-1", "Progress", "execution-1", 1]),
        ("with_all", {"progress": 0, "context": 0, "n": 2}, EVENT, ["item-1", "event-1", "Progress", "execution-1", 2]),
        ("decorated", {"n": 1}, EVENT, [[], {"n": 1}]),
        ("nothing", {"n": 1}, EVENT, "called"),
    ],
)
async def test_an_input_comes_from_the_input_else_from_the_event(
    tmp_path: Path, function: str, given: dict[str, Any], event: Any, output: Any
) -> None:
    declared = b'[{"name":"picture","input":[{"name":"photo","type":"Item"}]},{"name":"nothing"}]'
    async with serving(tmp_path, FUNCTIONS, functions=declared) as served:
        assert await served.output(function, event=event, **given) == output


async def test_an_input_called_event_wins_over_the_event(tmp_path: Path) -> None:
    async with serving(tmp_path, FUNCTIONS) as served:
        served.process.run(
            1, "with_event", execution=b"{}", input=b'{"event":"mine"}', event=json.dumps(EVENT).encode()
        )
        assert (await served.outcome()).output == b'"mine"'


async def test_an_input_without_a_value_fails_the_execution_and_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path, FUNCTIONS) as served:
        outcome = await served.call("both", event={**EVENT, "resource": "Dataset"}, size=1)
        assert (outcome.error_type, outcome.message) == (
            "TypeError",
            "both() is missing the required input 'item'; given: size",
        )


async def test_a_class_is_constructed_once_with_its_parameters(tmp_path: Path) -> None:
    source = """
    made = []
    class Runner:
        def __init__(self, model, size=1):
            made.append(model)
            self.size = size
        def run(self, n): return [made, self.size + n]
        @staticmethod
        def still(): return "static"
        @classmethod
        def named(cls): return cls.__name__
    """
    async with serving(tmp_path, source, class_name="Runner", init_params=b'{"model":"m","size":2}') as served:
        for _ in range(3):
            assert await served.output("run", n=1) == [["m"], 3]
        assert await served.output("still") == "static"
        assert await served.output("named") == "Runner"


async def test_a_class_that_is_not_in_the_file_means_the_functions_of_the_module(tmp_path: Path) -> None:
    async with serving(tmp_path, "def run(): return 1", class_name="Absent") as served:
        assert await served.output("run") == 1


async def test_modules_named_like_ours_are_the_users(tmp_path: Path) -> None:
    for name in ("agent", "dispatcher", "schemas", "child", "process", "types_of_mine"):
        (tmp_path / f"{name}.py").write_text(f"me = 'my {name}'")
    source = """
    import agent, child, dispatcher, process, schemas
    def run(): return [each.me for each in (agent, child, dispatcher, process, schemas)]
    """
    async with serving(tmp_path, source) as served:
        assert await served.output("run") == ["my agent", "my child", "my dispatcher", "my process", "my schemas"]


async def test_an_entry_point_named_like_a_standard_module_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("def run():\n    import json\n    return json.__name__")
    async with serving(tmp_path, entry_point="json.py") as served:
        assert await served.output("run") == "json"


async def test_only_the_given_environment_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    source = "import os\ndef run(): return [os.environ.get('DATABASE_PASSWORD'), os.environ['MINE']]"
    async with serving(tmp_path, source, environment={"MINE": "1"}) as served:
        assert await served.output("run") == [None, "1"]


@pytest.mark.parametrize(
    ("source", "message", "traceback"),
    [
        ("def run(:\n", "SyntaxError: ", 'File "main.py", line 1'),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'", 'File "main.py", line 1'),
        ("raise ValueError('no')\n", "ValueError: no", "ValueError: no"),
        ("import sys; sys.exit(2)\n", "The module called sys.exit(2) while it was loaded", ""),
        ("import os; os._exit(5)\n", "The process ended with exit code 5", ""),
        ("class ServiceRunner:\n    def __init__(self, a): pass\n", "missing 1 required positional argument: 'a'", ""),
        (None, "there is no file 'main.py' in the folder of the module", ""),
    ],
)
async def test_a_module_that_does_not_load_says_why(
    tmp_path: Path, source: str | None, message: str, traceback: str
) -> None:
    with pytest.raises(LoadFailed) as failed:
        async with serving(tmp_path, source):
            pass
    assert message in failed.value.message
    assert traceback in failed.value.traceback
    assert "importlib" not in failed.value.traceback
    assert str(tmp_path) not in failed.value.traceback


async def test_a_python_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="/no/such/python could not be started"):
        async with serving(tmp_path, "", python="/no/such/python"):
            pass


# progress


async def test_small_steps_of_progress_are_not_reported(tmp_path: Path) -> None:
    source = """
    def run(progress):
        for percent in (4, 7, 9, 50, 40, 52, 130):
            progress.update(progress=percent)
    """
    async with serving(tmp_path, source) as served:
        await served.output("run")
        assert [report["percentComplete"] for _, report in served.heard.reports] == [4, 9, 50, 100]


async def test_a_message_an_output_an_action_or_another_status_is_always_reported(tmp_path: Path) -> None:
    source = """
    def run(progress, context):
        progress.update(progress=10)
        progress.update(message="halfway ü", progress=11)
        progress.update(status="inProgress")
        progress.update(status="inProgress")
        progress.update(output={"n": [1]})
        context.progress.update(action="saved", duration=1.5)
    """
    async with serving(tmp_path, source) as served:
        await served.output("run")
        assert served.heard.reports == [
            (1, {"percentComplete": 10}),
            (1, {"percentComplete": 11, "message": "halfway ü"}),
            (1, {"percentComplete": 11, "status": "inProgress"}),
            (1, {"percentComplete": 11, "output": {"n": [1]}}),
            (1, {"percentComplete": 11, "action": "saved", "duration": 1.5}),
        ]
        assert served.heard.order[-1] == "finished"


async def test_progress_arrives_while_the_function_runs(tmp_path: Path) -> None:
    source = """
    import os
    def run(progress, path):
        progress.update(progress=50)
        open(path).read()
    """
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with serving(tmp_path, source) as served:
        served.run("run", path=str(fifo))
        await served.heard.until(lambda: served.heard.reports)
        fifo.write_text("go on")
        assert (await served.outcome()).ok


# context


async def test_the_context_tells_about_the_execution(tmp_path: Path) -> None:
    source = """
    def run(context):
        context.logger.info("from the context's logger")
        return {
            "ids": [context.execution_id, context.trigger_id, context.execution["trigger_id"]],
            "event": [context.event.action, context.event.resource_id, context.event.project_id, context.event.user_id],
            "body": context.event.body["name"],
            "service": [context.service.name, context.service.runtime_of_it.pod_type],
            "project": context.project.id,
            "causation": context.causation,
            "header": context.causation_header,
            "headers": context.headers,
            "bot": context.bot,
        }
    """
    service = b'{"name":"grey","runtimeOfIt":{"podType":"regular-s"},"botUserName":"grey@bot"}'
    async with serving(tmp_path, source, service=service) as served:
        told = await served.output("run", event=EVENT, causation=CHAIN)
        assert told["ids"] == ["execution-1", "trigger-1", "trigger-1"]
        assert told["event"] == ["Created", "item-1", "project-1", None]
        assert told["body"] == "cat.jpg"
        assert told["service"] == ["grey", "regular-s"]
        assert told["project"] == "project-1"
        assert told["causation"] == CHAIN
        assert json.loads(base64.urlsafe_b64decode(told["header"])) == CHAIN
        assert told["headers"] == {
            "x-trigger-engine-causation": told["header"],
            "baggage": f"trigger-engine-causation={told['header']}",
            "ce-correlationid": "event%201",
            "ce-causationid": told["header"],
        }
        assert told["bot"] == "grey@bot"
        assert served.heard.messages(1) == ["from the context's logger"]


async def test_programs_that_a_function_starts_find_the_chain_in_their_environment(tmp_path: Path) -> None:
    source = """
    import asyncio, os, subprocess, sys
    SAY = [sys.executable, "-c", "import os; print(os.environ.get('TRIGGER_ENGINE_CAUSATION', ''))"]
    def run(context):
        said = subprocess.run(SAY, capture_output=True, text=True).stdout.strip()
        own = subprocess.run(SAY, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}).stdout.strip()
        return [said == context.causation_header, own, "TRIGGER_ENGINE_CAUSATION" in os.environ]
    async def run_async(context):
        program = await asyncio.create_subprocess_exec(*SAY, stdout=asyncio.subprocess.PIPE)
        said, _ = await program.communicate()
        return said.decode().strip() == context.causation_header
    """
    async with serving(tmp_path, source) as served:
        assert await served.output("run", causation=CHAIN) == [True, "", False]
        assert await served.output("run_async", causation=CHAIN) is True
        assert await served.output("run") == [True, "", False]


SAVES = """
import os
def save(context, path, data): context.save(path, data)
def save_bytes(context, path): context.save(path, b"\\x00\\xff")
def write(context, path):
    with context.open_output(path) as file:
        file.write(b"half")
        before = os.path.exists(path)
        file.write(b" and half")
    return before
def fails(context, path):
    with context.open_output(path, "w") as file:
        file.write("half")
        raise ValueError
def refuse(*args): raise OSError(95, "not supported")
def save_without_attributes(context, path):
    keep, os.setxattr = os.setxattr, refuse
    try:
        context.save(path, "text")
    finally:
        os.setxattr = keep
"""


def causation_of(path: Path) -> Any:
    return json.loads(base64.urlsafe_b64decode(os.getxattr(path, child.CAUSATION_ATTRIBUTE)))


@pytest.fixture
def attributed_path(tmp_path: Path) -> Path:
    try:
        os.setxattr(tmp_path, child.CAUSATION_ATTRIBUTE, b"")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    return tmp_path


async def test_a_saved_file_carries_the_causation_of_its_execution(attributed_path: Path) -> None:
    async with serving(attributed_path, SAVES) as served:
        path = attributed_path / "gray" / "cat.txt"
        await served.output("save", causation=CHAIN, path=str(path), data="ü")
        assert path.read_text() == "ü"
        assert causation_of(path) == CHAIN
        await served.output("save_bytes", causation={**CHAIN, "note": 2}, path="gray/cat.txt")
        assert path.read_bytes() == b"\x00\xff"
        assert causation_of(path) == {**CHAIN, "note": 2}
        assert os.listdir(path.parent) == ["cat.txt"]


async def test_an_output_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    async with serving(tmp_path, SAVES) as served:
        folder = tmp_path / "out"
        assert await served.output("write", path=str(folder / "a")) is False
        assert (folder / "a").read_bytes() == b"half and half"
        assert not (await served.call("fails", path=str(folder / "b"))).ok
        assert os.listdir(folder) == ["a"]


async def test_where_attributes_are_refused_the_causation_lies_beside_the_file(tmp_path: Path) -> None:
    async with serving(tmp_path, SAVES) as served:
        path = tmp_path / "out" / "a"
        await served.output("save_without_attributes", causation=CHAIN, path=str(path))
        name = child.SIDECAR_NAME.format(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        assert os.listdir(path.parent / child.SIDECAR_FOLDER) == [name]
        sidecar = path.parent / child.SIDECAR_FOLDER / name
        assert json.loads(base64.urlsafe_b64decode(sidecar.read_bytes())) == CHAIN


async def test_a_file_of_an_execution_without_causation_carries_none(tmp_path: Path) -> None:
    async with serving(tmp_path, SAVES) as served:
        await served.output("save", path=str(tmp_path / "a"), data="x")
        assert child.CAUSATION_ATTRIBUTE not in os.listxattr(tmp_path / "a")
