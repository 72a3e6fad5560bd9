"""What the pages point at is there: links and their headings, files, statements; and the index names every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backbone.store import queries

ROOT = Path(__file__).parents[2]
PAGES = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
FOLDERS = "agent|backbone|benchmarks|dispatcher|docs|examples|gateway|launcher|schemas|tests|trigger_engine"


def prose(page: str) -> str:
    """Without the fenced blocks."""
    return re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)


def headings(page: str) -> set[str]:
    """As the addresses that they have on the web: small letters, hyphens, no other signs."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        name = str(target.resolve().relative_to(ROOT))
        if not target.exists() or (heading and heading not in headings(name)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = re.findall(rf"`((?:{FOLDERS})/[\w./*-]*)`", prose(page))
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_statement_that_is_named_is_there(page: str) -> None:
    topics = "|".join({name.partition("/")[0] for name in queries.every()})
    named = re.findall(rf"`((?:{topics})/[a-z ]+)`", prose(page))
    assert [name for name in named if name not in queries.every()] == []


def test_the_index_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+\.md)\)", PAGES["docs/README.md"]))
    there = {str(Path(page).relative_to("docs")) for page in PAGES if page.startswith("docs/")}
    assert linked >= there - {"README.md"}


def test_a_broken_link_would_be_noticed() -> None:
    assert headings("docs/events.md") >= {"our-own-shape", "cloudevents-10"}
    assert "docs/decisions/0003-durability.md" in PAGES
