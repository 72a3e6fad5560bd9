"""The OpenAPI document, and the running gateway held against it with requests that fit it and requests that do not."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway import contract, health, openapi
from tests.integration.test_gateway_service import listening, tell
from tests.support.gateway import API, codebase_zip, gateway

EXAMPLES = 5
"""Of each operation and mode; what they find beyond the named tests, they find over many runs of the suite."""

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schemathesis.serializer("application/zip", "application/x-ndjson", "application/msgpack")
def as_bytes(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


async def known_ids(dsn: str) -> dict[str, str]:
    """Something of each kind, so that not every request ends at an id of nothing."""
    async with gateway(dsn) as api:
        service = await api.service()
        trigger = await api.trigger(service["id"])
        await api.cron(service["id"])
        execution = await api.post(f"/executions/{service['id']}", {})
        await api.publish(b'{"id":"e1","resource":"Item","action":"Created","entity":{"id":"i1"}}')
        bad = await api.publish(b"{")
        codebase = await api.client.post(f"{API}/codebases", content=codebase_zip())
        for role in health.NEEDED:
            await tell(api.parts.database.pool, role, ago=-60)
        return {
            "services": service["id"],
            "triggers": trigger["id"],
            "packages": service["packageId"],
            "executions": execution["id"],
            "projects": service["projectId"],
            "events": "e1",
            "codebases": codebase.json()["id"],
            "dead-letters": str(bad.json()["rejected"][0]["deadLetter"]),
        }


def hold_against(url: str, ids: dict[str, str], mode: GenerationMode) -> int:
    """Ask every operation; return how many answers were held against the document."""
    schema: Any = schemathesis.openapi.from_dict(openapi.document(contract.OPERATIONS))
    operations = [found.ok() for found in schema.get_all_operations()]
    return sum(ask_often(operation, url, ids, mode) for operation in operations)


def ask_often(operation: Any, url: str, ids: dict[str, str], mode: GenerationMode) -> int:
    if mode is GenerationMode.NEGATIVE and not operation.query and not operation.body:
        return 0  # nothing can be wrong where any text is taken and nothing else, and finding that out takes a second
    known = ids.get(operation.path.removeprefix(f"{API}/").partition("/")[0])
    answers = 0

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), at_known=st.booleans())
    def ask(case: Any, at_known: bool) -> None:
        nonlocal answers
        if at_known and known is not None and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = known
        case.call_and_validate(base_url=url, checks=CHECKS, timeout=10)
        answers += 1

    try:
        ask()
    except Unsatisfiable:  # a body of any bytes
        assert mode is GenerationMode.NEGATIVE
    return answers


@pytest.mark.parametrize("mode", list(GenerationMode))
async def test_every_answer_is_one_that_the_document_promises(database: str, mode: GenerationMode) -> None:
    ids = await known_ids(database)
    async with listening(database) as client:
        answers = await asyncio.to_thread(hold_against, str(client.base_url), ids, mode)
    assert answers >= EXAMPLES * 10


async def test_the_document_that_is_served_is_the_one_that_is_kept(database: str) -> None:
    async with gateway(database) as api:
        served = (await api.client.get("/openapi.json")).json()
    assert served == orjson.loads(openapi.written())
