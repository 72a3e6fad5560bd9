"""A stand-in for `citylots2.json.gz`, the 213,068 parcels of San Francisco that event-ruler measures itself with.

The original is not here, so this writes events of the same schema and size (906 bytes on average), seeded, in which
every pattern of event-ruler's benchmark matches exactly as often as it asserts. Streets, lots and numbers are drawn
first for all events, column by column, with the counted values put in; the points of a parcel are drawn with it.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

COUNT = 213_068
SEED = 20240607

# The numbers that the rules ask for.
MIDDLE = -122.41600944012424
WEST, EAST = -122.46471267081272, -122.4063085128395
ONE_X, ONE_Y = -122.42916360922355, 37.729900216217324

# How often the streets that rules ask for are there; no other street may fit their patterns.
STREETS = {
    "FULTON": 1910,
    "FUNSTON": 477,
    "MASON": 2657,
    "MASONIC": 293,
    "MOULTON": 22,
    "JEFFERSON": 131,
    "MISSION": 6000,
    "WASHINGTON": 3000,
    "JACKSON": 2000,
    "HARRISON": 1000,
    "CLAYTON": 724,
    "LAKE": 600,
    "CLARKE": 271,
    "HAMM": 13,
    "IRVING": 1963,
    "SANTIAGO": 682,
    "ACEVEDO": 24,
    "BLUXOME": 442,
    "DRUMMOND": 38,
    "RHODE ISLAND": 328,
    "BEACH": 211,
    "HYDE": 1758,
    "CHESTNUT": 825,
    "17TH": 1619,
    "FOLSOM": 1390,
    "FOERSTER": 150,
}
COUNTED_STREET = re.compile(r"^(AC|BL|DR|FU|RH|MASO|JEFF)|(ON|KE|MM|ING|GO)$")
SYLLABLES = (
    "MA RI LO CAS TER VAL SAN CAL OR TE GA NO RA WIL LARD POST GEA RY CLE MENT JU DAH KIRK HAM POR TO LA SIL VER BAY "
    "EL LIS QUES ADA"
)
TYPES = {"ST": 116_386, "STWY": 15, "CT": 1774}
OTHER_TYPES = {"AVE": 70, "DR": 6, "WAY": 5, "BLVD": 4, "TER": 3, "LN": 2, "PL": 2, None: 8}
WITH_44 = ["44", "440", "442", "443", "445", "4400", "4412", "4425", "4450", "4488"]
WITH_41 = ["41", "141", "241", "341", "541", "641", "1041", "1141", "1241", "2441"]
COUNTED_LOTS = [re.compile(written) for written in (r"143.*$", r"2.*0.*1.*7$", r".*218$", r"3.*5.*2$")]
COUNTED_BLOCKS = ("2183", "3789", "3027")


@dataclass(frozen=True, slots=True)
class Columns:
    """What is drawn for all events before the first is written, a value an event in each list."""

    street: list[str]
    street_type: list[str | None]
    side: list[str]
    number: list[str]
    lot: list[str]
    block: list[str]
    region: list[str]
    """Where the first point is: A west of all, B left of the middle, C right of it, D east of all."""
    straddling: dict[int, str]
    """Parcels with a later point in another region than the first."""
    multi: frozenset[int]
    x_first: frozenset[int]
    """Parcels whose first point is at `ONE_X`,"""
    x_later: frozenset[int]
    """and those where a later one is."""
    y_later: int


def written(path: Path) -> Path:
    """The file with all the events, made if it is not there yet."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("w") as file:
            file.writelines(f"{line}\n" for line in lines())
        unfinished.rename(path)
    return path


def read(path: Path) -> Iterator[bytes]:
    """The events of the stand-in or of the original, a line each."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


def lines() -> Iterator[str]:
    random = Random(SEED)
    columns = _columns(random)
    for n in range(COUNT):
        yield json.dumps(_parcel(random, columns, n))


def _columns(random: Random) -> Columns:
    street = _streets(random)
    street_type = _street_types(random)
    random.shuffle(street)
    random.shuffle(street_type)
    side = _sides(random, street_type)
    number = _numbers(random, street)
    lot = _lots(random)
    block = _blocks(random, lot, street_type, side)
    region, of_region = _regions(random)
    straddling = {
        n: crossing
        for name, crossing, count in (("C", "C<", 498), ("B", "B>", 248), ("A", "A>", 232), ("D", "D<", 200))
        for n in random.sample(of_region[name], count)
    }
    multi = frozenset(random.sample(range(COUNT), 120))
    left = [n for n in of_region["B"] if n not in straddling and n not in multi]
    return Columns(
        street=street,
        street_type=street_type,
        side=side,
        number=number,
        lot=lot,
        block=block,
        region=region,
        straddling=straddling,
        multi=multi,
        x_first=frozenset(left[:2]),
        x_later=frozenset(left[2:218]),
        y_later=min(multi),
    )


def _streets(random: Random) -> list[str]:
    syllables = SYLLABLES.split()
    names = [f"{n}TH" for n in range(4, 48) if n != 17]
    taken = {*names, *STREETS}
    while len(names) < 2000:
        name = "".join(random.choice(syllables) for _ in range(random.randint(2, 4)))
        if name not in taken and not COUNTED_STREET.search(name):
            taken.add(name)
            names.append(name)
    counted = [name for name, count in STREETS.items() for _ in range(count)]
    weights = [1.0 / (n + 8) ** 0.75 for n in range(len(names))]
    return counted + random.choices(names, weights, k=COUNT - len(counted))


def _street_types(random: Random) -> list[str | None]:
    counted = [name for name, count in TYPES.items() for _ in range(count)]
    return [*counted, *random.choices([*OTHER_TYPES], [*OTHER_TYPES.values()], k=COUNT - len(counted))]


def _sides(random: Random, street_type: list[str | None]) -> list[str]:
    others = [n for n in range(COUNT) if street_type[n] != "ST"]
    streets = [n for n in range(COUNT) if street_type[n] == "ST"]
    odd = {*random.sample(others, 52527), *random.sample(streets, len(streets) // 2)}
    return ["O" if n in odd else "E" for n in range(COUNT)]


def _numbers(random: Random, street: list[str]) -> list[str]:
    number = ["441"] * 2453
    number += [random.choice(WITH_44) for _ in range(1524)]
    number += [random.choice(WITH_41) for _ in range(1560)]
    number += ["2521"] * 19
    number += [_uncounted_number(random) for _ in range(COUNT - len(number))]
    random.shuffle(number)
    # One lot alone is FOERSTER 755.
    foerster = [n for n in range(COUNT) if street[n] == "FOERSTER"]
    for n in foerster:
        if number[n] == "755":
            number[n] = "757"
    number[next(n for n in foerster if _is_uncounted(number[n]))] = "755"
    return number


def _uncounted_number(random: Random) -> str:
    while True:
        number = str(int(random.expovariate(1 / 1100.0)) + 1)
        if _is_uncounted(number):
            return number


def _is_uncounted(number: str) -> bool:
    return not (number.startswith("44") or number.endswith("41") or number == "2521")


def _lots(random: Random) -> list[str]:
    lot = ["1430022"] + ["2607117"] * 101 + ["2607218"] * 35 + ["3745012"] * 655 + ["VACSTWIL"]
    made: list[tuple[int, Callable[[], str]]] = [
        (490 - 1, lambda: f"143{random.randint(0, 9)}{random.randint(1, 99):03d}"),
        (713 - 101, lambda: f"2{random.randint(0, 999):03d}{random.randint(1, 199):03d}"),
        (43 - 35, lambda: f"{random.choice('04567')}{random.randint(0, 999):03d}218"),
        (2540 - 655, lambda: f"3{random.randint(0, 999):03d}{random.randint(1, 199):03d}"),
    ]
    for pattern, (count, make) in zip(COUNTED_LOTS, made, strict=True):
        lot += _lots_of_one_pattern(pattern, count, make)
    while len(lot) < COUNT:
        block = f"{int(random.triangular(1, 7999, 3000)):04d}"
        if block in COUNTED_BLOCKS:
            continue
        for _ in range(min(random.choice([1, 1, 1, 2, 8, 30]), COUNT - len(lot))):
            name = f"{block}{random.randint(1, 120):03d}"
            if not any(pattern.match(name) for pattern in COUNTED_LOTS):
                lot.append(name)
    random.shuffle(lot)
    return lot


def _lots_of_one_pattern(wanted: re.Pattern[str], count: int, make: Callable[[], str]) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        name = make()
        fits = [pattern for pattern in COUNTED_LOTS if pattern.match(name)]
        if fits == [wanted] and name not in ("1430022", "2607117", "2607218", "3745012"):
            found.append(name)
    return found


def _blocks(random: Random, lot: list[str], street_type: list[str | None], side: list[str]) -> list[str]:
    block = ["3028" if name[:4] in COUNTED_BLOCKS else name[:4] for name in lot]
    order = list(range(COUNT))
    random.shuffle(order)
    free = iter(order)

    def put(name: str, count: int, fits: Callable[[int], bool]) -> None:
        for _ in range(count):
            block[next(n for n in free if fits(n))] = name

    put("3027A", 59, lambda n: True)
    put("2183", 27, lambda n: side[n] == "E")
    put("2183", 11, lambda n: side[n] == "O")
    put("3789", 527, lambda n: street_type[n] == "ST")
    put("3789", 40, lambda n: street_type[n] != "ST")
    return block


def _regions(random: Random) -> tuple[list[str], dict[str, list[int]]]:
    right = 25_000
    left, east = 127_053 - right, 64_120 - right
    region = ["A"] * (148_948 - left) + ["B"] * left + ["C"] * right + ["D"] * east
    random.shuffle(region)
    of_region: dict[str, list[int]] = defaultdict(list)
    for n, name in enumerate(region):
        of_region[name].append(n)
    return region, of_region


def _parcel(random: Random, columns: Columns, n: int) -> dict[str, object]:
    points = [{"x": x, "y": y, "z": 0} for x, y in _points(random, columns, n)]
    lot = columns.lot[n]
    return {
        "type": "Feature",
        "properties": {
            "MAPBLKLOT": lot,
            "BLKLOT": f"{lot[:4]}{random.randint(1, 120):03d}",
            "BLOCK_NUM": columns.block[n],
            "LOT_NUM": lot[4:7] or "001",
            "FROM_ST": columns.number[n],
            "TO_ST": columns.number[n],
            "STREET": columns.street[n],
            "ST_TYPE": columns.street_type[n],
            "ODD_EVEN": columns.side[n],
        },
        "geometry": {
            "type": "MultiPolygon" if n in columns.multi else "Polygon",
            "coordinates": points,
            "firstCoordinates": points[0],
        },
    }


def _points(random: Random, columns: Columns, n: int) -> list[tuple[float, float]]:
    count = _number_of_points(random)
    crossing = columns.straddling.get(n)
    x, y = _first_x(random, columns.region[n], crossing), random.uniform(37.709, 37.831)
    if n in columns.x_first:
        x = ONE_X
    points = [(x, y)]
    for _ in range(1, count - 1):
        aside = random.uniform(-3e-4, 3e-4)
        if crossing:
            # Away from the border, so that only the one point put across it is on its other side.
            aside = random.uniform(0, 4e-6) * (1 if crossing in ("C<", "D<") else -1)
        points.append((x + aside, y + random.uniform(-2e-4, 2e-4)))
    if crossing:
        across = {"C<": MIDDLE - 5e-5, "B>": MIDDLE + 5e-5, "A>": WEST + 5e-5, "D<": EAST - 5e-5}[crossing]
        points[1] = (across + random.uniform(-1e-5, 1e-5), points[1][1])
    if n in columns.x_later:
        points[2] = (ONE_X, points[2][1])
    if n == columns.y_later:
        points[2] = (points[2][0], ONE_Y)
    return [*points, points[0]]


def _number_of_points(random: Random) -> int:
    share = random.random()
    if share < 0.55:
        return 5
    if share < 0.80:
        return random.randint(6, 9)
    return min(400, int(random.lognormvariate(2.62, 0.78)) + 6)


def _first_x(random: Random, region: str, crossing: str | None) -> float:
    if crossing:
        # All four are drawn, whichever is taken: the events stay those that were measured before.
        return {
            "C<": MIDDLE + random.uniform(1e-5, 2e-4),
            "B>": MIDDLE - random.uniform(1e-5, 2e-4),
            "A>": WEST - random.uniform(1e-5, 2e-4),
            "D<": EAST + random.uniform(1e-5, 2e-4),
        }[crossing]
    west, east = {
        "A": (-122.514, WEST - 5e-3),
        "B": (WEST + 5e-3, MIDDLE - 5e-3),
        "C": (MIDDLE + 3e-3, EAST - 3e-3),
        "D": (EAST + 5e-3, -122.363),
    }[region]
    return random.uniform(west, east)
