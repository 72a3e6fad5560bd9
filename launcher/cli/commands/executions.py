"""`trigger-engine executions`: invocations of functions, from the match to the outcome."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from backbone.model.states import ENDED, ExecutionStatus
from launcher.cli import completing, tables
from launcher.cli.asking import asks_the_engine, json_option, project_option
from launcher.cli.tables import Column, Row

if TYPE_CHECKING:
    from launcher.cli.engine import Engine

LOOK_EVERY = 0.5  # seconds
LATEST = 200  # those that a look sees
id_argument = click.argument("execution_id", metavar="ID")
service_option = click.option(
    "--service", metavar="S", shell_complete=completing.names_of("services"), help="Only of this service."
)
trigger_option = click.option(
    "--trigger", metavar="T", shell_complete=completing.names_of("triggers"), help="Only of this trigger."
)


@click.group()
def command() -> None:
    """Executions: one invocation of a function each.

    \b
    Examples:
      trigger-engine executions list --status failed
      trigger-engine executions watch --until-idle
      trigger-engine executions logs 0195a3c2-7b1e-8d6f-9a41-3f2b8c7d6e5a --follow
    """


@command.command("list")
@click.option("--status", type=click.Choice([status.value for status in ExecutionStatus]), help="Only in this status.")
@service_option
@trigger_option
@project_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The latest so many.")
@json_option
@asks_the_engine
async def list_(
    engine: Engine,
    status: str | None,
    service: str | None,
    trigger: str | None,
    project: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List executions, the latest first.

    \b
    Examples:
      trigger-engine executions list --status failed --limit 10
      trigger-engine executions list --service grayscale --json
    """
    wanted = await _filter(engine, service, trigger, project)
    if status:
        wanted["latestStatus.status"] = status
    found = await engine.query("executions", wanted, limit)
    tables.show(found, await _columns(engine), as_json=as_json, empty="there are no executions")


@command.command()
@id_argument
@json_option
@asks_the_engine
async def show(engine: Engine, execution_id: str, as_json: bool) -> None:
    """Show an execution: where it came from, what became of it, step by step.

    \b
    Examples:
      trigger-engine executions show 0195a3c2-7b1e-8d6f-9a41-3f2b8c7d6e5a
    """
    execution = await _get(engine, execution_id)
    if as_json:
        tables.show_json(execution)
        return
    services, triggers = await engine.names("services"), await engine.names("triggers")
    latest = execution["latestStatus"]
    tables.show_facts(
        (
            ("execution", execution["id"]),
            ("status", _status(execution)),
            ("runs", _runs(execution, services)),
            ("trigger", _name(execution.get("triggerId"), triggers)),
            ("attempt", f"{execution.get('attempts', 1)} of {execution.get('maxAttempts', 1)}"),
            ("created", tables.moment(execution["createdAt"])),
            ("took", _duration(execution)),
            ("input", execution.get("input") or None),
            ("output", latest.get("output")),
        )
    )
    for line in execution.get("status") or ():
        told = tables.plain(line.get("message") or "")
        click.echo(f"  {tables.moment(line.get('timestamp'))}  {tables.padded(line['status'], 14)}  {told}".rstrip())
    if latest.get("error"):
        click.echo(_error_text(latest["error"]))


@command.command()
@service_option
@trigger_option
@project_option
@click.option("--until-idle", is_flag=True, help="End when nothing waits or runs any more.")
@json_option
@asks_the_engine
async def watch(
    engine: Engine, service: str | None, trigger: str | None, project: str | None, until_idle: bool, as_json: bool
) -> None:
    """Print what happens to executions as it happens. Ctrl-C ends it.

    \b
    Examples:
      trigger-engine executions watch
      trigger-engine executions watch --service grayscale --until-idle
    """
    wanted = await _filter(engine, service, trigger, project)
    services, triggers = await engine.names("services"), await engine.names("triggers")
    seen: dict[str, str] = {}
    quiet = 0
    while not (until_idle and quiet >= 2):
        latest = await engine.query("executions", wanted, LATEST)
        for execution in reversed(latest):
            if seen.get(execution["id"]) != _status(execution):
                seen[execution["id"]] = _status(execution)
                _say(execution, services, triggers, as_json)
        unfinished = [status.value for status in ExecutionStatus if status not in ENDED]
        busy = await engine.count("executions", {**wanted, "latestStatus.status": {"$in": unfinished}})
        quiet = 0 if busy else quiet + 1  # twice: what was accepted a moment ago is not recorded yet
        await asyncio.sleep(LOOK_EVERY)


@command.command()
@id_argument
@asks_the_engine
async def rerun(engine: Engine, execution_id: str) -> None:
    """Run an ended execution again, under the same id.

    \b
    Examples:
      trigger-engine executions rerun 0195a3c2-7b1e-8d6f-9a41-3f2b8c7d6e5a
    """
    execution = await engine.post(f"{_path(execution_id)}/rerun")
    click.echo(f"execution {execution['id']} runs again")


@command.command()
@id_argument
@asks_the_engine
async def terminate(engine: Engine, execution_id: str) -> None:
    """Ask for the end of an execution that waits or runs.

    \b
    Examples:
      trigger-engine executions terminate 0195a3c2-7b1e-8d6f-9a41-3f2b8c7d6e5a
    """
    execution = await engine.post(f"{_path(execution_id)}/terminate")
    click.echo(f"execution {execution['id']} was asked to end")


@command.command()
@id_argument
@click.option("--follow", is_flag=True, help="Go on until the execution ends.")
@json_option
@asks_the_engine
async def logs(engine: Engine, execution_id: str, follow: bool, as_json: bool) -> None:
    """Print what the function of an execution logged.

    \b
    Examples:
      trigger-engine executions logs 0195a3c2-7b1e-8d6f-9a41-3f2b8c7d6e5a
      trigger-engine executions logs 0195a3c2-7b1e-8d6f-9a41-3f2b8c7d6e5a --follow
    """
    path = _path(execution_id)
    told: list[Row] = []
    while True:
        # Asked before the lines are: those of an execution that has ended are all there.
        going_on = follow and ExecutionStatus(_status(await engine.get(path))) not in ENDED
        lines = (await engine.get(f"{path}/logs"))["logs"]
        for line in lines[len(told) :] if not as_json else ():
            _say_line(line)
        told = lines
        if not going_on:
            break
        await asyncio.sleep(LOOK_EVERY)
    if as_json:
        tables.show_json(told)


@command.command()
@click.argument("service", shell_complete=completing.names_of("services"))
@click.option("--function", default="run", show_default=True, metavar="F")
@click.option("--input", "given", metavar="JSON", help="The arguments, an object.")
@project_option
@asks_the_engine
async def run(engine: Engine, service: str, function: str, given: str | None, project: str | None) -> None:
    """Run a function of SERVICE, a name or an id, without any event. Prints the execution's id.

    \b
    Examples:
      trigger-engine executions run grayscale
      trigger-engine executions run grayscale --function check --input '{"path": "/a.jpg"}'
    """
    arguments = _object(given)
    project_id = (await engine.project(project))["id"] if project else None
    found = await engine.find("services", service, project_id)
    body = {"functionName": function, "projectId": found["projectId"]}
    execution = await engine.post(f"/executions/{found['id']}", body if given is None else {**body, "input": arguments})
    click.echo(execution["id"])


def _object(given: str | None) -> dict[str, Any]:
    if given is None:
        return {}
    try:
        arguments = json.loads(given)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"--input: {given!r} is not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise click.UsageError(f"--input: {given!r} is not an object of arguments")
    return arguments


async def _filter(engine: Engine, service: str | None, trigger: str | None, project: str | None) -> dict[str, Any]:
    project_id = (await engine.project(project))["id"] if project else None
    wanted: dict[str, Any] = {"projectId": project_id} if project_id else {}
    if service:
        wanted["serviceId"] = (await engine.find("services", service, project_id))["id"]
    if trigger:
        wanted["triggerId"] = (await engine.find("triggers", trigger, project_id))["id"]
    return wanted


def _path(execution_id: str) -> str:
    from launcher.cli.engine import segment

    return f"/executions/{segment(execution_id)}"


async def _get(engine: Engine, execution_id: str) -> dict[str, Any]:
    execution: dict[str, Any] = await engine.get(_path(execution_id))
    return execution


async def _columns(engine: Engine) -> tuple[Column, ...]:
    services, triggers = await engine.names("services"), await engine.names("triggers")
    return (
        Column("ID", lambda execution: execution["id"]),
        Column("STATUS", _status),
        Column("RUNS", lambda execution: _runs(execution, services), gives_way=True),
        Column("TRIGGER", lambda execution: _name(execution.get("triggerId"), triggers), gives_way=True),
        Column("CREATED", lambda execution: tables.moment(execution["createdAt"])),
        Column("TOOK", _duration),
    )


def _say(execution: Row, services: dict[str, str], triggers: dict[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(execution))
        return
    latest = execution["latestStatus"]
    told = [
        tables.moment(latest.get("timestamp")),
        execution["id"],
        tables.padded(_status(execution), 14),
        tables.plain(_runs(execution, services)),
        tables.text(_name(execution.get("triggerId"), triggers)),
        tables.plain(latest.get("message") or ""),
    ]
    click.echo(tables.GAP.join(told).rstrip())


def _say_line(line: Row) -> None:
    message = tables.plain_lines(line["message"])
    click.echo(f"{tables.moment(line['timestamp'])}  {tables.padded(line['level'], 7)}  {message}")


def _status(execution: Row) -> str:
    return str(execution["latestStatus"]["status"])


def _runs(execution: Row, services: dict[str, str]) -> str:
    return f"{_name(execution['serviceId'], services)}.{execution['functionName']}"


def _name(key: str | None, names: dict[str, str]) -> str | None:
    return names.get(key, key) if key else None


def _duration(execution: Row) -> str | None:
    seconds = execution.get("duration")
    if seconds is None:
        return None
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _error_text(error: Any) -> str:
    if not isinstance(error, dict):
        return tables.plain_lines(str(error))
    told = [str(error[key]) for key in ("message", "stack", "traceback") if error.get(key)]
    return tables.plain_lines("\n".join(told))
