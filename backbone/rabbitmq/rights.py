"""What users of RabbitMQ may do, as the server's own patterns: what they declare, write to and read from.

A dispatcher's side declares, and may do everything. An agent's user reads the queues of services, and writes to the
one exchange that leads to the dispatchers: it can declare nothing, read no reports, and give no work to anybody.
tests/contract/test_rabbitmq.py holds the real server to that. Imports nothing: who makes users need not connect.

A service's own user is known by its name: RabbitMQ vouches for the user in a message's property `user_id`.
"""

from __future__ import annotations

from collections.abc import Mapping

Rights = Mapping[str, str]

_OF_A_SERVICE = "trigger-engine."

EVERYTHING: Rights = {"configure": ".*", "write": ".*", "read": ".*"}


def of_agents(service_queues: str = r"service\..+") -> Rights:
    """`service_queues`: a pattern of those that may be read; all of them, unless a user is one service's own."""
    # Answers come over the pseudo-queue: servers before 4.2 ask for no right to it, later ones treat it as a queue.
    return {"configure": "^$", "write": "^agents$", "read": rf"^({service_queues}|amq\.rabbitmq\.reply-to)$"}


def user_of(service_id: str) -> str:
    return _OF_A_SERVICE + service_id


def service_of(user: str | None) -> str | None:
    """None for a user who is no service's own."""
    return user.removeprefix(_OF_A_SERVICE) if user and user.startswith(_OF_A_SERVICE) else None
