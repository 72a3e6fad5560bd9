"""Executions that executions ask for over HTTP: they go on with the chain of who asks, and it may not grow for ever.

The guard judges events; nobody matches a call, so its chain is looked at here, where it comes in.
"""

from __future__ import annotations

import logging

from backbone.kit import metrics
from backbone.model import causation
from backbone.model.errors import Conflict
from backbone.model.loops import LoopKind
from backbone.store import incidents
from gateway.operations import Call

_TOO_LONG = (
    "{depth} executions in a row led to this call of function {function!r} of service {service}; the limit is {limit}"
)

log = logging.getLogger(__name__)


async def led_by(call: Call, project_id: str, service_id: str, function_name: str) -> bytes | None:
    """The chain that led to the call, as the execution keeps it; None for one of somebody who is no execution.
    Raises Conflict for a chain that is too long, which is an incident then."""
    chain, limit = call.carried.causation, call.parts.settings.max_depth
    if chain is None:
        return None
    if chain.depth >= limit:
        reason = _TOO_LONG.format(depth=chain.depth, function=function_name, service=service_id, limit=limit)
        raised = await incidents.raise_call(
            call.parts.database.pool, project_id, chain, f"{service_id}/{function_name}", reason
        )
        if raised is not None:
            if raised.is_new:
                metrics.incidents_raised.labels(LoopKind.DEPTH.value).inc()
                log.warning("loop of calls refused", extra={"incident": raised.id, "reason": reason})
            raise Conflict(f"{reason} (incident {raised.id})")
    return causation.encode(chain.unsigned)
