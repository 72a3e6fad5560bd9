"""Servers that are reached by TLS and by a password, and the certificates that show who is who.

The embedded PostgreSQL is built without TLS; the one here is the machine's own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import trustme
from cryptography.hazmat.primitives import serialization

from launcher.postgres_folder import server_uid
from tests.support.kafka import KafkaServer
from tests.support.rabbitmq import RabbitMQServer
from tests.support.servers import TO_START, Failed, Missing, Program, free_port

HOST = "127.0.0.1"  #: what the servers' certificates are for
PASSWORD = "p@ss:word/of#us"
ASKS_FOR_TLS = bytes.fromhex("00000008 04d2162f")
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files. `other_ca` has signed nobody; `cert` and `key` are a client's, by the name of `engine`."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    @classmethod
    def made_in(cls, folder: Path) -> Certificates:
        folder.mkdir()
        authority = trustme.CA()
        server, client = authority.issue_cert(HOST), authority.issue_cert("engine.test", common_name="engine")
        chain = server.cert_chain_pems[0].bytes()
        written = {
            "ca": authority.cert_pem.bytes(),
            "other_ca": trustme.CA().cert_pem.bytes(),
            "cert": client.cert_chain_pems[0].bytes(),
            "key": client.private_key_pem.bytes(),
            "server_cert": chain,
            "server_key": _as_java_reads(server),
            "server_both": _as_java_reads(server) + chain,
        }
        for name, content in written.items():
            (folder / f"{name}.pem").write_bytes(content)
        return cls(folder)


def _as_java_reads(certificate: trustme.LeafCert) -> bytes:
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def kafka(folder: Path, files: Certificates) -> KafkaServer:
    """`SCRAM` asks for a password, `MUTUAL` for a certificate. `engine` may do everything, `stranger` nothing."""
    mechanisms = {f"listener.name.scram.scram-sha-{size}.sasl.jaas.config": SCRAM for size in (256, 512)}
    settings = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": files.server_both,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": files.ca,
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/$1/,DEFAULT",
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        **mechanisms,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:engine",
    }
    users = [f"SCRAM-SHA-512=[name={name},password={PASSWORD}]" for name in ("engine", "stranger")]
    formatting = [word for user in users for word in ("--add-scram", user)]
    return KafkaServer(
        folder, settings=settings, listeners={"SCRAM": "SASL_SSL", "MUTUAL": "SSL"}, formatting=formatting
    )


def rabbitmq(folder: Path, files: Certificates, port: int) -> RabbitMQServer:
    """On `port` there is TLS, and a certificate is asked for."""
    settings = {
        "listeners.ssl.1": f"{HOST}:{port}",
        "ssl_options.cacertfile": files.ca,
        "ssl_options.certfile": files.server_cert,
        "ssl_options.keyfile": files.server_key,
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
    }
    return RabbitMQServer(folder, settings=settings)


class PostgresWithTls:
    """The superuser `engine` has a password."""

    def __init__(self, folder: Path, files: Certificates) -> None:
        self._binaries, self._folder = _postgres_binaries(), folder
        self._log = folder.with_suffix(".log")
        self.port = free_port()
        self._program: Program | None = None
        self._key = folder.with_suffix(".key")
        shutil.copyfile(files.server_key, self._key)
        self._key.chmod(0o600)
        os.chown(self._key, server_uid(), -1)
        self._certificate = files.server_cert

    async def start(self) -> None:
        secret = self._folder.with_suffix(".password")
        secret.write_text(PASSWORD)
        options = ["--no-sync", "-A", "scram-sha-256", "-U", "engine", "--pwfile", secret, "-D", self._folder]
        making = self._run("initdb", *options)
        if code := await making.ended():
            raise Failed(f"initdb ended with {code}: {making.last_words()}")
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": self._certificate,
            "ssl_key_file": str(self._key),
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._program = self._run("postgres", "-D", self._folder, *words)
        await self._program.until_it_answers(self.port, ASKS_FOR_TLS)
        await self._until_it_lets_in()

    async def _until_it_lets_in(self) -> None:
        """It answers while it is still starting."""
        whom = {"user": "engine", "password": PASSWORD, "database": "postgres", "ssl": "require"}
        async with asyncio.timeout(TO_START.total_seconds()):
            while True:
                try:
                    await (await asyncpg.connect(host=HOST, port=self.port, **whom)).close()
                    return
                except asyncpg.CannotConnectNowError:
                    await asyncio.sleep(0.05)

    def kill(self) -> None:
        if self._program is not None:
            self._program.kill()

    def _run(self, program: str, *words: str | Path) -> Program:
        return Program([self._binaries / program, *words], os.environ, self._log, uid=server_uid())


def _postgres_binaries() -> Path:
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not installed:
        raise Missing("there is no PostgreSQL with TLS on this machine: `make servers`")
    return installed[-1]
