"""Garbage in circles is looked for seldom.

Batches of hundreds of rows and messages go through a process without a circle among them, and after every 700 of them
Python would look at all of a batch again. What was there at the start is never looked at.
"""

from __future__ import annotations

import gc

YOUNG = 20_000
"""Objects more than were let go, after which the young ones are looked through."""


def collected_seldom() -> None:
    gc.freeze()
    gc.set_threshold(YOUNG)
