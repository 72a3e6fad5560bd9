"""What is gathered stays what it was, and stands in huge pages where the kernel can."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

import pytest

from backbone.kit import huge_pages

COLLAPSE_SINCE = (6, 1)


def huge_now() -> int:
    return sum(
        int(size) * 1024
        for size in re.findall(r"^AnonHugePages: +(\d+) kB", Path("/proc/self/smaps").read_text(), re.M)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's way of gathering pages")
def test_what_is_gathered_stays_what_it_was() -> None:
    kernel = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
    block = bytes(range(256)) * (64 << 12)  # 64 MB
    gathered = huge_pages.gather()
    assert block == bytes(range(256)) * (64 << 12)
    if kernel >= COLLAPSE_SINCE:
        assert gathered >= 60 << 20
        assert huge_now() >= 60 << 20
    else:
        assert gathered == 0


def test_only_whole_stretches_of_our_own_memory_are_named() -> None:
    for start in huge_pages._whole_pages():
        assert start % huge_pages.HUGE == 0
