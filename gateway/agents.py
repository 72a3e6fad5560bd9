"""What agents ask for, who reach no database: their service with its code, inputs too large for a queue, and what they
may begin and are to end, while RabbitMQ takes no questions."""

from __future__ import annotations

from typing import Any

import msgspec

from backbone.kit import metrics
from backbone.model import requests
from backbone.model.errors import Invalid, NotAllowed, NotFound
from backbone.store import definitions, finding, leases
from backbone.store.queries import sql
from gateway import agent_tokens, shapes
from gateway.agent_tokens import AGENTS
from gateway.answers import Answer
from gateway.operations import Call, Operation


class LoginShape(shapes.Shape):
    user: str
    password: str


class AgentShape(shapes.Shape):
    """A service as its agents see it."""

    service: shapes.ServiceShape
    token: str | None = None  #: what its agents show at the gateway; none where none is asked for
    rabbitmq: LoginShape | None = None  #: where each service has a user of its own there


class DeploymentShape(shapes.Shape):
    service: shapes.ServiceShape
    package: shapes.PackageShape  #: the revision that the service names


class InputShape(shapes.Shape):
    """What a work item leaves out when it is large."""

    input: dict[str, Any]
    entity: dict[str, Any] | None = None


async def every(call: Call) -> Any:
    gateway_token, login = call.parts.settings.token, call.parts.settings.agent_login
    return [
        AgentShape(
            service=shapes.service(service),
            token=None if gateway_token is None else agent_tokens.of_service(gateway_token, service.id),
            rabbitmq=None if login is None else LoginShape(*login(service.id)),
        )
        for service in await definitions.services(call.parts.database.pool)
    ]


async def deployment(call: Call) -> Any:
    pool = call.parts.database.pool
    service = await definitions.service(pool, call.definition_id("service"))
    package = await definitions.package(pool, service.package_id, service.package_revision)
    return DeploymentShape(service=shapes.service(service), package=shapes.package(package))


async def codebase(call: Call) -> Any:
    """Of any revision: the service may have got another since the agent was told."""
    pool = call.parts.database.pool
    service = await definitions.service(pool, call.definition_id("service"))
    codebase_id = call.path["codebase"]
    if not any(one.codebase_id == codebase_id for one in await definitions.package_revisions(pool, service.package_id)):
        raise NotFound("codebase", codebase_id)
    return Answer(200, await definitions.codebase(pool, codebase_id), b"application/zip")


async def input_of(call: Call) -> Any:
    execution_id = finding.as_uuid(call.path["execution"])
    service_id = call.definition_id("service")
    row = None
    if execution_id is not None:
        row = await call.parts.database.pool.fetchrow(sql("execution/input of"), execution_id, service_id)
    if row is None:
        raise NotFound("execution", call.path["execution"])
    # Documents that nobody looks into are not read either: they are put together as an InputShape.
    return Answer(200, b'{"input":%b,"entity":%b}' % (row["input"] or b"{}", row["entity"] or b"null"))


async def ask(call: Call) -> Any:
    """As a dispatcher answers over RabbitMQ."""
    service_id = call.definition_id("service")
    try:
        request = requests.decode_request(call.body)
    except msgspec.MsgspecError as error:
        raise Invalid("", f"is no question of an agent: {error}") from None
    async with call.parts.leases.use() as connection:
        [found] = await leases.answer(connection, [leases.Asked(request, service_id)])
    metrics.agent_questions_over_http.inc()
    if isinstance(found, requests.Refusal):
        raise NotAllowed(found)
    return Answer(200, requests.encode_answer(found), requests.MEDIA_TYPE.encode())


OPERATIONS = (
    Operation(
        method="GET", path=AGENTS, handler=every, summary="Every service, for a host that runs their agents",
        answers=list[AgentShape],
    ),
    Operation(
        method="GET", path=f"{AGENTS}/{{id}}", handler=deployment, summary="A service with its package, for its agents",
        answers=DeploymentShape, refusals=(404,),
    ),
    Operation(
        method="GET", path=f"{AGENTS}/{{id}}/codebases/{{codebase}}", handler=codebase,
        summary="The zip of the service's code",
        gives="application/zip", refusals=(404,),
    ),
    Operation(
        method="GET", path=f"{AGENTS}/{{id}}/inputs/{{execution}}", handler=input_of,
        summary="What the work item of an execution left out, as it was too large for a queue",
        answers=InputShape, refusals=(404,),
    ),
    Operation(
        method="POST", path=f"{AGENTS}/{{id}}/{agent_tokens.REQUESTS}", handler=ask,
        summary="What an agent asks over RabbitMQ, where that takes nothing: `request` and `answer` of asyncapi.json",
        media_types=(requests.MEDIA_TYPE,), gives=requests.MEDIA_TYPE, refusals=(403, 404),
    ),
)  # fmt: skip
