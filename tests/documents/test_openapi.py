"""The OpenAPI document that is kept is the one that the operations make."""

from __future__ import annotations

from pathlib import Path

import gateway
from gateway import openapi

KEPT = Path(gateway.__file__).parent.parent / "schemas" / "openapi.json"


def test_the_kept_openapi_document_is_made_from_the_operations() -> None:
    assert KEPT.read_bytes() == openapi.written(), "python -m gateway.openapi > schemas/openapi.json"
