"""The secrets of `compose.yaml`: a folder of files, one for each place where a container wants one.

What is random is made once and kept: passwords and the gateway's token. The rest is derived from it every time: the
addresses with these passwords, the token of the host of agents, and the users that RabbitMQ loads at its start.

The folder is closed to others. Its files are not: Docker mounts them as they are, for users that only containers have.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from backbone.model.errors import Invalid
from backbone.rabbitmq import rights
from gateway import agent_tokens

VHOST = "trigger-engine"
MADE = ("postgres_password", "rabbitmq_password", "rabbitmq_agents_password", "token")


def write(folder: Path) -> list[str]:
    """The names of all files, those of the random ones that were not there before first."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        found = {name: (folder / name).read_text().strip() for name in MADE if (folder / name).exists()}
        # Letters and digits alone: nothing has to be written otherwise in an address.
        made = {name: secrets.token_hex(24) for name in MADE if not found.get(name)}
        for name, content in {**made, **derived({**found, **made})}.items():
            fresh = folder / f".{name}"
            fresh.write_text(content + "\n")
            fresh.chmod(0o444)
            fresh.replace(folder / name)
    except OSError as error:
        raise Invalid("FOLDER", f"{str(folder)!r} cannot be filled: {error.strerror or error}") from None
    return [*made, *(name for name in (*MADE, *derived({**found, **made})) if name not in made)]


def derived(made: Mapping[str, str]) -> dict[str, str]:
    def rabbitmq(user: str, password: str) -> str:
        return f"amqp://{user}:{made[password]}@rabbitmq:5672/{VHOST}"

    return {
        "database": f"postgresql://engine:{made['postgres_password']}@postgres:5432/engine",
        "rabbitmq": rabbitmq("engine", "rabbitmq_password"),
        "rabbitmq_agents": rabbitmq("agents", "rabbitmq_agents_password"),
        "rabbitmq_definitions.json": json.dumps(definitions(made), indent=2),
        "agents_token": agent_tokens.of_host(made["token"]),
    }


def definitions(made: Mapping[str, str]) -> dict[str, object]:
    """What RabbitMQ's `load_definitions` takes: two users and their rights, passwords as hashes."""
    users = (
        ("engine", made["rabbitmq_password"], rights.EVERYTHING),
        ("agents", made["rabbitmq_agents_password"], rights.of_agents()),
    )
    return {
        "vhosts": [{"name": VHOST}],
        "users": [
            {
                "name": name,
                "password_hash": _hash(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
            for name, password, _ in users
        ],
        "permissions": [{"user": name, "vhost": VHOST, **granted} for name, _, granted in users],
    }


def _hash(password: str) -> str:
    """As RabbitMQ keeps it: four random bytes, then SHA-256 over them and the password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
