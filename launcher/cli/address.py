"""Where the engine is: told by the caller, or by the file that `up` writes into its data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from backbone.model.errors import Invalid, Unavailable

DATA = Path(".trigger-engine")
FILE = "gateway.json"
START_ONE = "start one with: trigger-engine up"


class Address(msgspec.Struct, frozen=True):
    url: str
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """What the caller said. A token is sent only to whom it was given for: `--url` never gets the file's."""

    url: str | None
    token: str | None
    data: Path

    def find(self) -> Address:
        """Looked up anew whenever the engine did not answer: it may have come back on another port."""
        if self.url:
            if not self.url.startswith(("http://", "https://")):
                raise Invalid("--url", f"{self.url!r} is no address; expected for instance http://127.0.0.1:8900")
            return Address(self.url.rstrip("/"), self.token)
        return self._from_file(self.data / FILE)

    def _from_file(self, file: Path) -> Address:
        try:
            written = msgspec.json.decode(file.read_bytes(), type=Address)
        except FileNotFoundError:
            raise Unavailable("the engine", f"there is no {file}; {START_ONE}") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise Unavailable("the engine", f"{file} does not say where it is: {error}") from None
        return Address(written.url.rstrip("/"), self.token or written.token)


def token_in(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("--token-file", f"{str(file)!r} cannot be read: {error}") from None
    if not token:
        raise Invalid("--token-file", f"{str(file)!r} is empty")
    return token
