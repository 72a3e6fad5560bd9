"""Handing events to the engine, a batch a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from launcher.cli.engine import Engine, refusal

BATCH = 200
BATCH_BYTES = 4_000_000


class Rejected(msgspec.Struct, frozen=True, rename="camel"):
    """An event that was not taken; it is kept as this dead letter."""

    index: int
    reason: str
    path: str = ""
    dead_letter: int | None = None

    def __str__(self) -> str:
        kept = f" (dead letter {self.dead_letter})" if self.dead_letter is not None else ""
        return f"{self.path}: {self.reason}{kept}" if self.path else f"{self.reason}{kept}"


@dataclass(frozen=True, slots=True)
class Receipt:
    accepted: int
    rejected: Sequence[Rejected]


async def deliver(engine: Engine, documents: Sequence[bytes], project: str | None) -> Receipt:
    """`project` is that of events that name none. The bad events of a batch do not hold up the good ones."""
    response = await engine.request(
        "POST",
        "/events",
        body=b"\n".join(documents),
        content_type="application/x-ndjson",
        query={"project": project},
        expected=(400, 413),
    )
    if response.status_code == 413 and len(documents) == 1:
        return Receipt(0, [Rejected(index=0, reason=str(refusal(response)))])
    answer = msgspec.json.decode(response.content)
    if response.is_error and "rejected" not in answer:
        raise refusal(response)
    return Receipt(answer["accepted"], msgspec.convert(answer.get("rejected", []), list[Rejected]))
