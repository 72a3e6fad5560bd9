"""Addresses of servers, as people may see them: in logs, errors and what commands print."""

from __future__ import annotations

import re

_PASSWORD_OF_A_USER = re.compile(r"(://[^\s:/@?]*:)\S*@")
"""Up to the last @: a password that was not percent-encoded may hold one."""

_PASSWORD_IN_THE_QUERY = re.compile(r"((?:^|[?&\s])(?:ssl)?password=)[^&\s]*", re.IGNORECASE)


def masked(text: str) -> str:
    """An address, or any text with addresses in it, without the passwords."""
    return _PASSWORD_IN_THE_QUERY.sub(r"\1***", _PASSWORD_OF_A_USER.sub(r"\1***@", text))
