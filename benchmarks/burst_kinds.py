"""Ordinary traffic of many kinds. `TUNED` is what the guard was made with; `FRESH` it had not seen when measured."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate

from benchmarks.bursts import Arrival, Burst

Kind = Callable[[random.Random], Burst]
Moments = Callable[[random.Random], list[float]]

_MINUTE = 60.0
_HOUR = 3600.0


def _upload(chance: random.Random, a_second: float, items: int = 10_000) -> list[float]:
    """One after the other as fast as somebody uploads."""
    return list(accumulate(chance.expovariate(a_second) for _ in range(items)))


def _in_requests(chance: random.Random) -> list[float]:
    """10,000 items in requests of a hundred: all of a request at one moment."""
    return [moment for moment in _upload(chance, 20, 100) for _ in range(100)]


def _stream(chance: random.Random) -> list[float]:
    """Ten minutes, by chance, 1 to 20 a second."""
    return [moment for moment in _upload(chance, chance.uniform(1, 20)) if moment < 600]


def _clockwork(chance: random.Random) -> list[float]:
    """Ten minutes of something that comes at equal intervals, 0.2 to 5 a second: a camera, a sensor."""
    interval = 1 / chance.uniform(0.2, 5)
    return [number * interval for number in range(int(600 / interval))]


def _crowds(chance: random.Random) -> list[float]:
    """Ten uploads of 300 with minutes between them."""
    arrivals: list[float] = []
    for _ in range(10):
        began = (arrivals[-1] if arrivals else 0) + chance.uniform(30, 300)
        arrivals += [began + moment for moment in _upload(chance, chance.uniform(10, 500), 300)]
    return arrivals


# What the guard had not seen


def _import_and_corrections(chance: random.Random) -> list[Arrival]:
    """By night 5,000 items, some minutes later those again that were corrected: a tenth to a half of them."""
    items = [f"item {number}" for number in range(5_000)]
    corrected = chance.sample(items, round(len(items) * chance.uniform(0.1, 0.5)))
    first = _upload(chance, chance.uniform(20, 500), len(items))
    second = _upload(chance, chance.uniform(20, 500), len(corrected))
    pause = first[-1] + chance.uniform(1, 20) * _MINUTE
    return [*zip(first, items, strict=True), *zip([pause + one for one in second], corrected, strict=True)]


def _saved_by_hand(chance: random.Random) -> list[Arrival]:
    """One to twenty annotators for an hour, each saving an item ten times in five minutes, then the next."""
    arrivals: list[Arrival] = []
    for person in range(chance.randint(1, 20)):
        now, saves = chance.uniform(0, 5 * _MINUTE), 0
        while now < _HOUR:
            arrivals.append((now, f"item {saves // 10} of {person}"))
            saves += 1
            now += chance.lognormvariate(0, 1) * 20
    return sorted(arrivals)


def _behind_another_function(chance: random.Random) -> list[float]:
    """What the function of another service writes, one to three items a run, that hands its chain on to nobody. It is
    given requests of 20 to 200 items, some minutes apart."""
    took, places = 0.01 * 200 ** chance.random(), chance.randint(1, 32)
    free, arrivals = [0.0] * places, []
    for request in _upload(chance, 1 / (2 * _MINUTE), 10):
        for _ in range(chance.randint(20, 200)):
            place = free.index(min(free))
            began = max(free[place], request)
            free[place] = began + chance.lognormvariate(0, 0.5) * took
            arrivals += [chance.uniform(began, free[place]) for _ in range(chance.randint(1, 3))]
    return sorted(arrivals)


def _after_an_outage(chance: random.Random) -> list[Arrival]:
    """What 50 to 500 clients could not send for some minutes: each tries again after 1, 2, 4, … s until it is there,
    and one in five sends it once more as the answer was lost."""
    arrivals: list[Arrival] = []
    back = chance.uniform(1, 10) * _MINUTE
    for client in range(chance.randint(50, 500)):
        for number in range(chance.randint(1, 20)):
            now, pause = chance.uniform(0, back), 1.0
            while now < back:
                now, pause = now + pause * chance.uniform(0.5, 1.5), pause * 2
            again = 1 + (chance.random() < 0.2)
            arrivals += [(now + time * chance.uniform(1, 10), f"{number} of {client}") for time in range(again)]
    return sorted(arrivals)


def _touched_twice(chance: random.Random) -> list[Arrival]:
    """A migration script: 3,000 items one after the other, each once its write was answered, and all of them again."""
    pace = chance.uniform(0.005, 0.1)
    moments = accumulate(pace * chance.uniform(0.8, 1.5) for _ in range(6_000))
    return [(moment, f"item {number % 3_000}") for number, moment in enumerate(moments)]


def _sensor(chance: random.Random, hours: float) -> list[Arrival]:
    """One entity, once a second."""
    return [(second + chance.uniform(0, 0.02), "sensor") for second in range(int(hours * _HOUR))]


def _working_day(chance: random.Random) -> list[float]:
    """Ten hours of a few hundred people: more and more until eleven, fewer at lunch, and again."""
    now, arrivals, most = 0.0, [], chance.uniform(0.2, 1.5)
    while now < 10 * _HOUR:
        now += chance.expovariate(most)
        hour = now / _HOUR
        if chance.random() < max(0.02, 1 - abs(hour - 3) / 3, 0.9 - abs(hour - 7) / 3) * (0.4 if 4 < hour < 5 else 1):
            arrivals.append(now)
    return arrivals


def _edits_what_it_sees(chance: random.Random) -> Burst:
    """One to ten people, each at an item of their own, who look at what the function made of it before they go on."""
    people = chance.randint(1, 10)
    count = 0

    def reaction(ended: float, chance: random.Random) -> list[Arrival]:
        nonlocal count
        count += 1
        return [(ended + 1 + chance.expovariate(1 / 10), f"item {count % people}")] if ended < _HOUR else []

    first = [(chance.uniform(0, 10), f"item {person}") for person in range(people)]
    return Burst(first, 0.1 * 100 ** chance.random(), chance.randint(1, 64), once=False, reaction=reaction)


def _clients_that_wait(chance: random.Random) -> Burst:
    """4 to 64 clients send 5,000 items, each the next once it has seen the execution of the one before end."""
    return _as_answered(chance, chance.randint(4, 64), 1, 5_000)


def _rounds(chance: random.Random) -> Burst:
    """An orchestrator sends 100 to 500 items, waits for all of them, and sends as many again: ten times."""
    a_round = chance.randint(100, 500)
    return _as_answered(chance, a_round, a_round, 10 * a_round)


def _as_answered(chance: random.Random, at_once: int, answers: int, items: int) -> Burst:
    """After so many answers as many items again, within what it takes to ask for the state of an execution."""
    sent, answered, asks_every = at_once, 0, chance.uniform(0.05, 2)

    def reaction(ended: float, chance: random.Random) -> list[Arrival]:
        nonlocal sent, answered
        answered += 1
        if answered % answers or sent >= items:
            return []
        sent += answers
        return [(ended + chance.uniform(0, asks_every), f"item {sent - number}") for number in range(answers)]

    first = [(0.001 * number, f"first {number}") for number in range(at_once)]
    return Burst(first, 0.05 * 40 ** chance.random(), chance.randint(1, 64), reaction=reaction)


_ANY = ((0.005, 2.0), (1, 64))


def _new_items(moments: Moments, took: tuple[float, float] = _ANY[0], places: tuple[int, int] = _ANY[1]) -> Kind:
    def made(chance: random.Random) -> Burst:
        arrivals = [(moment, f"item {number}") for number, moment in enumerate(moments(chance))]
        return _burst(chance, arrivals, took, places, once=True)

    return made


def _changes(arrivals: Callable[[random.Random], list[Arrival]], took: tuple[float, float] = _ANY[0]) -> Kind:
    return lambda chance: _burst(chance, arrivals(chance), took, _ANY[1], once=False)


def _burst(
    chance: random.Random, arrivals: list[Arrival], took: tuple[float, float], places: tuple[int, int], *, once: bool
) -> Burst:
    low, high = took
    return Burst(arrivals, low * (high / low) ** chance.random(), chance.randint(*places), once=once)


TUNED: dict[str, Kind] = {
    "upload, 50 a second": _new_items(lambda chance: _upload(chance, 50)),
    "upload, 500 a second": _new_items(lambda chance: _upload(chance, 500)),
    "upload, 5,000 a second": _new_items(lambda chance: _upload(chance, 5000)),
    "upload in requests of 100": _new_items(_in_requests),
    "stream by chance": _new_items(_stream),
    "clockwork": _new_items(_clockwork, (0.2, 10.0), (4, 64)),
    "ten uploads of 300": _new_items(_crowds),
}

FRESH: dict[str, Kind] = {
    "import, then corrections": _changes(_import_and_corrections),
    "saved by hand": _changes(_saved_by_hand, (0.5, 30.0)),
    "behind another function": _new_items(_behind_another_function),
    "after an outage": _changes(_after_an_outage),
    "all items touched twice": _changes(_touched_twice),
    "sensor, once a second": _changes(lambda chance: _sensor(chance, 2), (0.05, 5.0)),
    "a working day": _new_items(_working_day, (0.05, 30.0)),
}

ANSWERED: dict[str, Kind] = {
    "people who look, then edit": _edits_what_it_sees,
    "clients that wait": _clients_that_wait,
    "rounds of an orchestrator": _rounds,
}
"""Fresh too, and a loop in all but name: each event was sent because an execution had ended."""
