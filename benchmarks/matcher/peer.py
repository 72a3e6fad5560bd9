"""One peer evaluating filters one by one: what it is asked comes as JSON on its standard input, its answer goes out.

Stands on the standard library and the peer alone, so that any Python that has the peer can run it.

Example:
  python -m benchmarks.matcher.peer mongoquery < asked.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.matcher import conditions
from benchmarks.matcher.conditions import Condition, Conditions


@dataclass(frozen=True, slots=True)
class Peer:
    test: Callable[[Conditions], Callable[[Any], bool]]
    """A filter of its own kind, made once,"""
    seen: Callable[[Any], Any]
    """and what the filters of an event are asked with, made once an event."""


def mongoquery() -> Peer:
    from mongoquery import Query

    return Peer(lambda asked: Query(conditions.mongo(asked)).match, lambda entity: entity)


def rule_engine() -> Peer:
    from rule_engine import Rule

    return Peer(lambda asked: Rule(conditions.rule_engine(asked)).matches, lambda entity: entity)


def cel() -> Peer:
    from cel import Context, compile

    return Peer(lambda asked: compile(conditions.cel(asked)).execute, lambda entity: Context(variables=entity))


PEERS: dict[str, Callable[[], Peer]] = {"mongoquery": mongoquery, "rule_engine": rule_engine, "cel": cel}


def answer(name: str, asked: list[list[list[Any]]], entities: list[str], seconds: float) -> dict[str, Any]:
    """Which filters each event passes, for as many events as take so long; at least one."""
    peer = PEERS[name]()
    tests = [peer.test([Condition(*each) for each in filter]) for filter in asked]
    passed: list[list[int]] = []
    began = time.process_time()
    for written in entities:
        seen = peer.seen(json.loads(written))
        passed.append([n for n, test in enumerate(tests) if test(seen)])
        if time.process_time() - began > seconds:
            break
    return {"passed": passed, "rate": len(passed) / (time.process_time() - began)}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matcher.peer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("peer", choices=sorted(PEERS))
    peer = parser.parse_args().peer
    print(json.dumps(answer(peer, **json.load(sys.stdin))))


if __name__ == "__main__":
    main()
