"""The AsyncAPI document is that of the code, and names what there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import schemas
from backbone.model.resources import Catalog
from backbone.rabbitmq import topology
from backbone.rabbitmq.topology import service_queue
from schemas import asyncapi, generate

FOLDER = Path(schemas.__file__).parent
DOCUMENT = asyncapi.document()


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def found(reference: str) -> Any:
    file, _, path = reference.partition("#")
    node = json.loads((FOLDER / file).read_text("utf-8")) if file else DOCUMENT
    for step in path.strip("/").split("/") if path else ():
        node = node[step]
    return node


def test_the_file_is_that_of_the_code() -> None:
    assert json.loads((FOLDER / "asyncapi.json").read_text("utf-8")) == DOCUMENT, "python -m schemas writes it anew"


def test_whatever_is_referred_to_is_there() -> None:
    assert all(found(reference) for reference in references(DOCUMENT))


def test_every_message_between_the_parts_is_described() -> None:
    described = {reference for reference in references(DOCUMENT) if reference.endswith(".schema.json")}
    assert described == {f"{name}.schema.json" for name in ("event", "cloudevent", "work-item", "report", "request")}
    assert {"work-item", "report", "request"} <= set(generate.schemas(Catalog()))


def test_the_queues_are_those_that_are_declared() -> None:
    queues = {
        channel["bindings"]["amqp"]["queue"]["name"]
        for channel in DOCUMENT["channels"].values()
        if "bindings" in channel
    }
    assert queues == {topology.REPORTS, topology.AGENTS, topology.DEAD, service_queue("{serviceId}")}
    assert (
        f"longer than {topology.QUESTION_LIVES.total_seconds():.0f} s" in DOCUMENT["channels"]["agents"]["description"]
    )
    assert topology.MAX_DELIVERIES == 100
