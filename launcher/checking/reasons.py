"""Why a server cannot be reached: what its client raised, as a sentence, and what to do about it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from backbone.kit.addresses import masked
from launcher.checking.finding import Problem

_ANOTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_WANTS_OURS = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_UNKNOWN")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a person mends it."""

    address: str
    authority: str  #: whom we trust
    certificate: str  #: who we are


def root(error: BaseException) -> BaseException:
    """What the network said, under a client's own names for it."""
    chain = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None and deeper not in chain:
        chain.append(deeper)
    return next((link for link in reversed(chain) if isinstance(link, OSError | EOFError)), error)


def explained(error: BaseException, settings: Settings) -> Problem:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _ANOTHER_NAME:
            return Problem(
                f"its certificate is of another host: {error.verify_message}",
                f"name it in {settings.address} as the certificate does, or give it a certificate with this name",
            )
        return Problem(
            f"its certificate is not trusted: {error.verify_message}",
            f"name the file with the certificate of who signed it in {settings.authority}",
        )
    if isinstance(error, ssl.SSLError):
        return _tls(error, settings)
    if isinstance(error, socket.gaierror):
        return Problem(f"its host is not known: {error.strerror}", f"look at the host in {settings.address}")
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return Problem("nothing listens there", f"start it, or mend host and port in {settings.address}")
    if isinstance(error, FileNotFoundError):
        return Problem(f"a file is not there: {masked(str(error))}", f"start it, or mend {settings.address}")
    if isinstance(error, TimeoutError):
        return Problem("it does not answer", "look whether it hangs, and whether a firewall stands between")
    if isinstance(error, ConnectionResetError | EOFError):
        return Problem(
            "it hung up at once",
            f"look whether {settings.address} says TLS as it does, and whether it asks for {settings.certificate}",
        )
    said = f"{type(error).__name__}: {masked(str(error))}".rstrip(": ")
    return Problem(f"it cannot be asked: {said}", f"look at {settings.address} and at the server's log")


def _tls(error: ssl.SSLError, settings: Settings) -> Problem:
    reason = error.reason or str(error)
    if any(word in reason for word in _WANTS_OURS):
        return Problem(
            f"it does not take the certificate that we show, or that we show none: {_words(reason)}",
            f"name one that it trusts in {settings.certificate}",
        )
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING"):
        return Problem("what answers there speaks no TLS", f"mend {settings.address}, or the server's listener")
    return Problem(f"TLS fails: {_words(reason)}", "look at the server's log")


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
