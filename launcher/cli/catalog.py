"""The resources that triggers and events may name, as the environment's setting has them."""

from __future__ import annotations

from backbone.model.resources import Catalog
from launcher import settings


def catalog() -> Catalog:
    return Catalog.with_additions(settings.from_environment(needs=()).resources)
