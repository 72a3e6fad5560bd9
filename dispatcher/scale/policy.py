"""How many agents a service is to have. Pure."""

from __future__ import annotations

from backbone.model.definitions import Service


def replicas(service: Service) -> int:
    return service.runtime.num_replicas if service.active else 0
