"""Picks the drivers and starts the parts. Whatever of ours runs begins here."""

import sys

# httpx has a command of its own and loads rich and pygments for it where they are: 0.2 s of every start.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
