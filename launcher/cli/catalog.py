"""The resources that triggers and events may name, as the environment's setting has them."""

from __future__ import annotations

from launcher import settings
from backbone.model.resources import Catalog


def catalog() -> Catalog:
    return Catalog.with_additions(settings.from_environment(database="").resources)
