"""The trivial function. It says how long ago its event was sent, both by this machine's clock, and counts itself."""

import threading
import time
from typing import Any

_lock = threading.Lock()
_calls = 0


def measured(item: dict[str, Any]) -> float:
    began = time.time()
    global _calls
    with _lock:
        _calls += 1
    sent: float = item["sent"]
    return began - sent


def calls() -> int:
    return _calls
