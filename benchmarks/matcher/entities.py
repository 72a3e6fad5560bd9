"""Items as the platform's events carry them, 1.3 KB on average, with fields that filters like to ask for.

Four fields tell much (`SELECTIVE`), having as many values as one asks for; `LOW` tell little. Codes are written in four
letters, so that a prefix or suffix of them is as selective as it is long.
"""

from __future__ import annotations

from random import Random
from typing import Any

LETTERS = "abcd"
MAX_SIZE = 1_000_000_000
MIMETYPES = {
    "image/jpeg": 30,
    "image/png": 20,
    "image/webp": 10,
    "video/mp4": 15,
    "video/webm": 5,
    "text/plain": 10,
    "application/pdf": 5,
    "audio/wav": 5,
}
SELECTIVE = ("datasetId", "creator", "metadata.user.batch", "metadata.user.camera")
LOW = {"site": 12, "line": 8, "shift": 3, "grade": 5, "stage": 6, "mode": 4, "lane": 10}
STATUSES = ("completed", "approved", "discarded", "issue", "review")
WORDS = 4


def selective(path: str, project: str, number: int) -> str:
    """One of the values of a selective field."""
    return {
        "datasetId": f"{project[:8]}{number:016x}",
        "creator": f"person.{number}@example.com",
        "metadata.user.batch": f"batch-{number}",
        "metadata.user.camera": f"camera-{number}",
    }[path]


def low(field: str, number: int) -> str:
    return f"{field}-{number}"


def word(number: int) -> str:
    return f"word{number:06d}x"


def code(random: Random, length: int) -> str:
    return "".join(random.choices(LETTERS, k=length))


def item(random: Random, id: str, project: str, values: int) -> dict[str, Any]:
    """`values`: how many a selective field has, and how many words there are for its note."""
    dataset = selective("datasetId", project, random.randrange(values))
    creator = selective("creator", project, random.randrange(values))
    folder, name = f"/{code(random, 14)}", f"{code(random, 14)}.jpg"
    minute = random.randrange(60)
    created = f"2026-03-{random.randrange(1, 29):02d}T10:{minute:02d}:00.000Z"
    place = f"https://example.com/datasets/{dataset}"
    mimetype = random.choices([*MIMETYPES], [*MIMETYPES.values()])[0]
    return {
        "id": id,
        "url": f"{place}/items/{id}",
        "datasetId": dataset,
        "dataset": place,
        "dir": folder,
        "filename": f"{folder}/{name}",
        "name": name,
        "type": "file",
        "hidden": random.random() < 0.05,
        "spec": "MasterItemSpec",
        "creator": creator,
        "createdAt": created,
        "updatedAt": created,
        "updatedBy": creator,
        "annotationsCount": random.randrange(50),
        "annotated": random.choice([True, False]),
        "stream": f"{place}/items/{id}/stream",
        "metadata": {"system": _system(random, id, name, mimetype), "user": _user(random, project, values)},
    }


def _system(random: Random, id: str, name: str, mimetype: str) -> dict[str, Any]:
    return {
        "originalname": name,
        "size": random.randrange(MAX_SIZE),
        "encoding": "7bit",
        "mimetype": mimetype,
        "width": random.randrange(4000),
        "height": random.randrange(4000),
        "channels": 3,
        "duration": random.random() * 1000,
        "isBinary": True,
        "exif": {"Orientation": random.randrange(1, 9), "Make": "ACME", "Model": f"X{random.randrange(100)}"},
        "annotationStatus": random.sample(STATUSES, random.randrange(3)),
        "refs": [
            {"type": kind, "id": f"{id}-{kind}", "metadata": {"status": random.choice(STATUSES)}}
            for kind in ("task", "assignment")[: random.randrange(3)]
        ],
    }


def _user(random: Random, project: str, values: int) -> dict[str, Any]:
    return {
        "batch": selective("metadata.user.batch", project, random.randrange(values)),
        "camera": selective("metadata.user.camera", project, random.randrange(values)),
        **{field: low(field, random.randrange(count)) for field, count in LOW.items()},
        "note": " ".join(word(random.randrange(values)) for _ in range(WORDS)),
    }
