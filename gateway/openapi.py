"""The OpenAPI 3.1 document, made from the operations and the structs they take and answer.

`python -m gateway.openapi > schemas/openapi.json` writes it down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import orjson

from gateway import shapes
from gateway.operations import Operation, Parameter

_REF = "#/components/schemas/{name}"
_MEANINGS = {
    400: "The request is wrong; `path` names the field",
    401: "The token is missing or wrong",
    403: "It is not for who asks",
    404: "There is no such thing",
    409: "It is not in a state that allows this",
    413: "The body is too large",
    500: "A mistake of ours, or PostgreSQL went away in the middle of a write",
    503: "Nothing was done; come again after `Retry-After` seconds",
}
_OPEN = ("/healthz", "/readyz")
_ACTOR = {
    "name": "X-Actor",
    "in": "header",
    "description": "Who does this, percent-encoded; it is written down with what is done. Left out: `api`",
    "schema": {"type": "string"},
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    operations = tuple(operations)
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(_path(operation), {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "trigger-engine",
            "version": "1",
            "description": "Events in, executions of functions out. Names and shapes are those of the Dataloop API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


class _Schemas:
    """The schema of each type that an operation speaks of; structs stand once, under their name."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        types = list({repr(one): one for operation in operations for one in _types(operation)}.values())
        found, self.components = msgspec.json.schema_components([*types, shapes.Problem], ref_template=_REF)
        self._by_type = {repr(type_): schema for type_, schema in zip([*types, shapes.Problem], found, strict=True)}

    def of(self, type_: Any) -> dict[str, Any]:
        if isinstance(type_, tuple):
            return {"anyOf": [self.of(one) for one in type_]}
        return self._by_type[repr(type_)]


def _types(operation: Operation) -> Iterator[Any]:
    for types in (operation.takes, operation.answers, *(operation.also or {}).values()):
        yield from (one for one in (types if isinstance(types, tuple) else (types,)) if one is not None)


def _path(operation: Operation) -> str:
    return re.sub(r":\w+}", "}", operation.path)


def _described(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", f"{operation.method.lower()} {_path(operation).removeprefix('/api/v1')}").strip("_")
    described: dict[str, Any] = {"operationId": name, "summary": operation.summary}
    in_path = re.findall(r"{(\w+)", operation.path)
    parameters = [
        {"name": one, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for one in in_path
    ] + [_parameter(one) for one in operation.parameters]
    if operation.signed:
        parameters.append(_ACTOR)
    if parameters:
        described["parameters"] = parameters
    if operation.method in ("POST", "PATCH") and (operation.takes or operation.media_types != ("application/json",)):
        described["requestBody"] = {"required": True, "content": _content(operation, schemas)}
    described["responses"] = _responses(operation, schemas)
    if operation.path in _OPEN:
        described["security"] = []
    return described


def _content(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    """Only JSON has a schema here: the other forms are told by their media type."""
    return {
        media_type: {"schema": schemas.of(operation.takes)} if media_type == "application/json" else {}
        for media_type in operation.media_types
    }


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary}
    if operation.answers is not None:
        good["content"] = {operation.gives: {"schema": schemas.of(operation.answers)}}
    else:
        good["content"] = {operation.gives: {}}
    responses = {str(operation.status): good}
    for status in sorted({400, 401, 413, 500, 503, *operation.refusals, *(operation.also or {})}):
        kinds: tuple[Any, ...] = (shapes.Problem,)
        if operation.also and status in operation.also:
            kinds = (operation.also[status], shapes.Problem)
        schema = schemas.of(kinds if len(kinds) > 1 else kinds[0])
        responses[str(status)] = {
            "description": _MEANINGS[status],
            "content": {"application/json": {"schema": schema}},
        }
    return responses


def _parameter(of: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if of.low is not None:
        schema = {"type": "integer", "minimum": of.low, "maximum": of.high}
    return {"name": of.name, "in": "query", "description": of.summary, "schema": schema}


def written() -> bytes:
    from gateway import contract

    return orjson.dumps(document(contract.OPERATIONS), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(written())
