"""Words put beside types: a title and a description for every field, and examples where there are some."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.words import WORDS, Words

Schema = dict[str, Any]

_SENTENCES = ("title", "description", "default", "examples", "deprecated")


def definitions(*shapes: type[msgspec.Struct]) -> Schema:
    """The schemas of these types and of those inside them, by the types' names, in words."""
    _, found = msgspec.json.schema_components(shapes, ref_template="#/$defs/{name}")
    positions = {shape.__name__: _positions(shape) for shape in shapes if shape.__struct_config__.array_like}
    for name, schema in found.items():
        if name in positions:
            _describe_positions(schema, positions[name], WORDS[name])
        elif "properties" in schema:
            _describe_fields(name, schema["properties"])
    return found


def position(schema: Schema, title: str) -> Schema:
    """The field of a schema for arrays that has this title."""
    found: Schema = next(field for field in schema["prefixItems"] if field["title"] == title)
    return found


def words_of(field: Schema) -> Schema:
    return {key: value for key, value in field.items() if key in _SENTENCES}


def type_of(field: Schema) -> Schema:
    return {key: value for key, value in field.items() if key not in _SENTENCES}


def _describe_fields(name: str, fields: Schema) -> None:
    words = WORDS[name]
    if set(words) != set(fields):
        raise LookupError(f"words and fields of {name} differ: {sorted(set(words) ^ set(fields))}")
    for field, said in words.items():
        schema = fields.pop(field)
        if said is not None:
            fields[field] = _described(schema, _title(field), said)


def _describe_positions(schema: Schema, names: list[str], words: Mapping[str, Words | None]) -> None:
    if list(words) != [name for name in names if name != "kind"]:
        raise LookupError(f"words and positions differ: {names} and {list(words)}")
    known = {"kind": Words("The kind of the message."), **words}
    schema["prefixItems"] = [
        _described(position, name, known[name] or Words(""))
        for name, position in zip(names, schema["prefixItems"], strict=True)
    ]


def _described(schema: Schema, title: str, words: Words) -> Schema:
    known = {"title": title, "description": words.description, **schema}
    if schema.get("default", ...) is None:
        del known["default"]
    return known | ({"examples": list(words.examples)} if words.examples else {})


def _positions(shape: type[msgspec.Struct]) -> list[str]:
    kind = ["kind"] if shape.__struct_config__.tag is not None else []
    return kind + [field.encode_name for field in msgspec.structs.fields(shape)]


def _title(field: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", field.lstrip("$")).split()
    return " ".join([words[0].capitalize(), *(word.lower() for word in words[1:])])
