"""`POST /query/faas` beyond equality: any filter and any order, page by page, as Python would match and sort."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from backbone.model import dql
from tests.support.gateway import Api, gateway

VALUES = [2.5, "b", None, 10, True, "é", -3, "B", [1], "10", {"a": 1}, 0, "", "zz", 2**53 + 1, False]
MISSING = "missing"


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    async with gateway(database) as api:
        yield api


async def services(api: Api) -> list[Any]:
    """Of one package, oldest first, with all kinds of values in `initParams.x`."""
    package = await api.package()
    for number, value in enumerate(VALUES):
        await service(api, package, f"s{number}", {"x": value, "at": {"n": [number, {"k": f"v{number}"}]}})
    await service(api, package, MISSING, {})
    return list((await ask(api, {}))["items"])


async def service(api: Api, package: Any, name: str, params: dict[str, Any]) -> None:
    await api.post("/services", {"name": name, "packageId": package["id"], "initParams": params})


async def ask(api: Api, filter_: Any, expected: int = 200, **more: Any) -> Any:
    return await api.post("/query/faas", {"resource": "services", "filter": filter_, **more}, expected)


@pytest.mark.parametrize(
    "filter_",
    [
        {"initParams.x": {"$gt": 0}},
        {"initParams.x": {"$gte": 9007199254740993}},
        {"initParams.x": None},
        {"initParams.x": {"$exists": False}},
        {"initParams.x": {"$in": ["b", "1*", 0]}},
        {"initParams.x": {"$eq": {"a": 1.0}}},
        {"initParams.x": {"$ieq": "É"}},
        {"initParams.at.n.k": {"$in": ["v1", "v2", True]}},
        {"initParams.at.n.0": {"$lt": 3}},
        {"initParams.at.n": {"$match": {"k": "v*", "x": None}}},
        {"name": "s?", "$nor": [{"active": True}]},
        {"$or": [{"name": "s1"}, {"name": "s2", "active": False}]},
        {"$and": [{"name": {"$in": ["s1", "s4"]}}, {"initParams.x": True}]},
        {"createdAt": {"$gt": "2020-01-01"}, "updatedAt": {"$lt": 32503680000000}},
        {"createdAt": {"$lt": "2020-01-01"}},
    ],
)
async def test_a_filter_finds_what_matching_finds(api: Api, filter_: dict[str, Any]) -> None:
    every = await services(api)
    assert len(every) == len(VALUES) + 1
    expected = [document for document in every if dql.compile(filter_).matches(document)]
    found = await ask(api, filter_)
    assert (found["items"], found["totalItemsCount"], found["hasNextPage"]) == (expected, len(expected), False)


def rank(document: Any) -> tuple[int, float, str]:
    value = document["initParams"].get("x")
    if isinstance(value, bool | int | float):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value).replace("'", '"'))


@pytest.mark.parametrize("direction", ["ascending", "descending"])
async def test_nothing_comes_first_then_numbers_then_texts_and_what_is_alike_by_age(api: Api, direction: str) -> None:
    every = await services(api)
    expected = sorted(every, key=rank, reverse=direction == "descending")
    found: list[Any] = []
    for page in range(6):
        answer = await ask(api, {}, sort={"initParams.x": direction}, pageSize=3, page=page)
        assert (answer["totalItemsCount"], answer["totalPagesCount"]) == (len(every), 6)
        assert answer["hasNextPage"] is (page < 5)
        found += answer["items"]
    assert [document["name"] for document in found] == [document["name"] for document in expected]


async def test_a_filter_and_an_order_go_together(api: Api) -> None:
    await services(api)
    answer = await ask(api, {"initParams.x": {"$lt": 10}}, sort={"initParams.x": "descending"}, pageSize=2)
    assert [document["initParams"]["x"] for document in answer["items"]] == [[1], 2.5]
    assert (answer["totalItemsCount"], answer["hasNextPage"]) == (4, True)
    past = await ask(api, {"initParams.x": {"$lt": 10}}, sort={"initParams.x": "descending"}, page=9)
    assert (past["items"], past["totalItemsCount"], past["hasNextPage"]) == ([], 4, False)


async def test_an_order_goes_through_objects_alone(api: Api) -> None:
    every = [document["name"] for document in await services(api)]
    for field in ("initParams.at.n.0", "name.x", "", "initParams..x", "'; DROP TABLE trigger; --", "$1"):
        answer = await ask(api, {}, sort={field: "descending"})
        assert [document["name"] for document in answer["items"]] == every


@pytest.mark.parametrize(
    "filter_", ['{"name": "a\\u0000"}', '{"initParams.a\\u0000": 1}', '{"name": {"$gt": "\\u0000"}}']
)
async def test_nul_is_asked_of_nobody(api: Api, filter_: str) -> None:
    refused = await ask(api, filter_, 400)
    assert (refused["path"], "NUL" in refused["message"]) == ("filter", True)


async def test_an_order_by_a_field_too_deep_is_refused(api: Api) -> None:
    refused = await ask(api, {}, 400, sort={".".join("a" * 33): "ascending"})
    assert "more than 32 parts" in refused["message"]
