"""`python -m schemas` writes the schemas beside this file; `--check` only compares and exits 1 where one differs.

A deployment with resources of its own makes its own set: `--resource Shipment:Created,Lost --into DIR`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from backbone.model.errors import Invalid
from backbone.model.resources import Catalog
from schemas import asyncapi, generate


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m schemas", description="Write the JSON Schemas of all documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, metavar="DIR", help="default: schemas/")
    parser.add_argument("--resource", action="append", default=[], metavar="NAME:ACTION,...", help="add one of yours")
    options = parser.parse_args(arguments)
    try:
        catalog = Catalog.with_additions(options.resource)
    except Invalid as error:
        parser.error(str(error))
    differing = [
        file for file, text in files(catalog, options.into) if not file.is_file() or file.read_text("utf-8") != text
    ]
    if not options.check:
        options.into.mkdir(parents=True, exist_ok=True)
        for file, text in files(catalog, options.into):
            file.write_text(text, "utf-8")
    for file in differing:
        print(f"{file.name}: {'differs; python -m schemas writes it anew' if options.check else 'written'}")
    return 1 if options.check and differing else 0


def files(catalog: Catalog, folder: Path) -> list[tuple[Path, str]]:
    documents = {f"{name}.schema.json": schema for name, schema in generate.schemas(catalog).items()}
    documents["asyncapi.json"] = asyncapi.document()
    return [
        (folder / name, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        for name, document in documents.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
