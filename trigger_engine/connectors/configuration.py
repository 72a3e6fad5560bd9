"""The connectors of a deployment: a TOML file of blocks, each naming a topic, a shape, and what the shape needs.

[[connector]]
topic = "shop.public.orders"
shape = "debezium"
project = "shop"
resource = "Order"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping as Table
from dataclasses import dataclass
from typing import Any

import msgspec

from backbone.model import definitions, written_form
from backbone.model.errors import Invalid
from backbone.model.resources import Catalog
from trigger_engine.connectors.cloudevents import CloudEvents
from trigger_engine.connectors.debezium import Debezium
from trigger_engine.connectors.mapping import Mapping
from trigger_engine.connectors.record import Shape

SHAPES: Table[str, type[CloudEvents | Debezium | Mapping]] = {
    "cloudevents": CloudEvents,
    "debezium": Debezium,
    "mapping": Mapping,
}


@dataclass(frozen=True, slots=True)
class Connector:
    topic: str
    shape: Shape
    project: str | None  #: a name or an id; of events that name none


class _Common(msgspec.Struct, frozen=True):
    topic: str
    shape: str
    project: str | None = None


def read(text: str, catalog: Catalog) -> list[Connector]:
    """Raises Invalid with the block, the field and the value that is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid("", f"is not TOML: {error}") from None
    for name in document:
        if name != "connector":
            raise Invalid(name, "is not known; expected blocks that begin with [[connector]]")
    blocks = document.get("connector", [])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise Invalid("connector", "is not a list of blocks; each begins with [[connector]]")
    connectors = [_connector(block, f"connector[{index}]", catalog) for index, block in enumerate(blocks)]
    _refuse_a_topic_twice(connectors)
    return connectors


def _connector(block: dict[str, Any], path: str, catalog: Catalog) -> Connector:
    common = written_form.convert(block, _Common, Invalid, path)
    if not common.topic:
        raise Invalid(f"{path}.topic", "is empty")
    if common.shape not in SHAPES:
        shown = written_form.clipped(common.shape)
        raise Invalid(f"{path}.shape", f"{shown!r} is not known; {written_form.hint(shown, SHAPES)}")
    shape = SHAPES[common.shape]
    own = {name: value for name, value in block.items() if name not in _Common.__struct_fields__}
    written_form.refuse_unknown(own, shape, path, Invalid)
    made = written_form.convert(own, shape, Invalid, path)
    try:
        made.check(catalog)
        if common.project is not None:
            definitions.check_name(common.project, "project")
    except Invalid as error:
        raise Invalid(written_form.joined(path, error.path), error.reason) from None
    return Connector(common.topic, made, common.project)


def _refuse_a_topic_twice(connectors: list[Connector]) -> None:
    seen: dict[str, int] = {}
    for index, connector in enumerate(connectors):
        first = seen.setdefault(connector.topic, index)
        if first != index:
            raise Invalid(f"connector[{index}].topic", f"{connector.topic!r} is that of connector[{first}] already")
