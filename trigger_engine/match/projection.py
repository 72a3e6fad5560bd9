"""Reads of an entity only what some filter asks for.

The asked paths form a tree, and each object in it becomes a msgspec struct with just those fields: the decoder skips
everything else without making anything of it, and decoding is most of what an event costs. A path is then one
`attrgetter` through structs. Where an entity is not shaped so (a list, null or text on the way) that raises
AttributeError, and `Path.candidates` walks as DQL says.

Structs are made anew when a path is added. The names of their fields never change, so getters outlive them.
"""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

import msgspec
import orjson

from backbone.model.dql import paths
from backbone.model.dql.paths import MISSING

if TYPE_CHECKING:
    from trigger_engine.match.looks import Looks

FIELDS: Final = 64
"""Of one struct. The decoder compares each key of the entity with all of them; beyond this a dict is faster."""

Parts = tuple[str, ...]
Name = tuple[str, Parts, bool]
"""Of a way to find filters by the value at one path: what it is, the path, and whether upper and lower case are one."""
Get = Callable[[Any], Any]
Test = TypeVar("Test")

_NO_FIELD: Final = re.compile(r'["\\\x00-\x1f]')  # in a name: msgspec has no struct with such a field
_SHORT: Final = 512  # characters; to cut a longer text up in C would take too much memory for what it saves
_OTHER: Final = str | int | float | bool | None


class Path:
    """One asked path. `many`: a list was met on the way or at the end, so it may have several values."""

    __slots__ = (
        *("fields", "get", "literals", "many", "names", "parts", "projection", "users"),
        *("_inner", "_memo", "_names", "_rest", "_split", "_start", "_stretches", "_tests"),
    )

    def __init__(self, projection: Projection, parts: Parts, names: Parts, inner: _Object | None) -> None:
        self.projection = projection
        self.parts = parts
        self.many = False
        self.literals = 0  #: different ones that look at it: the more there are, the fewer pass
        self.names: dict[Name, Name] = {}  #: of the ways to look at it; one object for all who ask
        self.users: set[str] = set()  #: ids of the triggers that ask for it
        self._names = names
        self._inner = inner
        self._rest = parts[len(names) :]
        self._start: Get = operator.attrgetter(".".join(names)) if names else projection.whole_entity
        self._split: tuple[Get, Get] | None = None
        self._memo: tuple[Any, list[Any], set[type]] = (None, [], set())
        self._stretches: tuple[str, int, Collection[str]] = ("", 0, ())
        self._tests: dict[Hashable, Any] = {}
        self.fields = None if self._rest or inner else ".".join(names)
        """For an attrgetter of several paths; None when it takes more than that to get the value."""
        self.get: Get = self._getter(inner)
        """The value; MISSING where there is none. Raises AttributeError when the entity is not shaped so."""

    def _getter(self, inner: _Object | None) -> Get:
        start, rest = self._start, self._rest
        if rest:
            return lambda view: _straight(start(view), rest)
        if inner is None:
            return start

        def object_or_missing(view: Any) -> Any:
            value = start(view)
            return MISSING if value is inner.empty else value

        return object_or_missing

    def test(self, of: Callable[[Path, bool], Test], wanted: bool) -> Test:
        """What `of` makes for this path, one object for all who ask."""
        if (of, wanted) not in self._tests:
            self._tests[of, wanted] = of(self, wanted)
        made: Test = self._tests[of, wanted]
        return made

    def stretches(self, text: str, length: int) -> Collection[str]:
        """The text's stretches of a length that begin at even places; kept for the next node that asks of the same."""
        known, of_length, found = self._stretches
        if known is not text or of_length != length:
            found = _stretches_of(len(text), length)(text)
            self._stretches = (text, length, found)
        return found

    def learn(self, view: Any) -> None:
        """Called where the value was none of the usual: remembers that it may be many, if a list was the reason."""
        if not self.many and self._meets_list(view):
            self.many = True
            self.projection.learned.append(self)

    def _meets_list(self, view: Any) -> bool:
        try:
            return type(self.get(view)) is list
        except AttributeError:
            return self._depth_of_list(view) is not None or _is_there(self._start, view)

    def candidates(self, view: Any) -> tuple[list[Any], set[type]]:
        """Every value that a clause on this path looks at, elements of lists included; and their types."""
        if self._memo[0] is not view:
            self._memo = (view, *self._found(view))
        return self._memo[1:]

    def _found(self, view: Any) -> tuple[list[Any], set[type]]:
        values = self._of_one_list(view)
        if values is not None:
            kinds = set(map(type, values))
            if list not in kinds:
                return values, kinds
        values = []
        for leaf in self.leaves(view):
            values.append(leaf)
            if type(leaf) is list:
                values += leaf
        return values, set(map(type, values))

    def _of_one_list(self, view: Any) -> list[Any] | None:
        """The values when the path goes through one list, of objects, where the first list was: two getters in C.

        None when it does not.
        """
        if self._split is None:
            depth = self._depth_of_list(view)
            if depth is None or self._rest or depth == len(self._names):
                return None
            before, after = ".".join(self._names[:depth]), ".".join(self._names[depth:])
            self._split = operator.attrgetter(before), operator.attrgetter(after)
        to_list, of_element = self._split
        try:
            found = to_list(view)
            values = list(map(of_element, found)) if type(found) is list else None
        except AttributeError:
            return None
        return values if self._inner is None else None

    def _depth_of_list(self, view: Any) -> int | None:
        node = view
        for depth, name in enumerate(self._names):
            if type(node) is list:
                return depth
            node = getattr(node, name, None)
        return None

    def leaves(self, view: Any) -> Iterator[Any]:
        """What `paths.leaves` gives for the entity."""
        if self._names:
            return self._below(view, 0)
        return paths.leaves(self._start(view), self.parts)

    def _below(self, node: Any, depth: int) -> Iterator[Any]:
        """`paths.leaves` over structs, and over what was decoded whole below them."""
        if depth == len(self._names):
            if self._rest:
                yield from paths.leaves(node, self._rest)
            else:
                yield MISSING if self.projection.is_empty(node) else node
        elif isinstance(node, msgspec.Struct):
            yield from self._below(getattr(node, self._names[depth]), depth + 1)
        elif type(node) is list:
            for element in node:
                if isinstance(element, msgspec.Struct):
                    yield from self._below(element, depth)
        else:
            yield MISSING


def _stretches_of(letters: int, length: int) -> Callable[[str], Collection[str]]:
    return _getter_of_stretches(letters, length) if letters <= _SHORT else partial(_set_of_stretches, length)


@lru_cache(_SHORT)
def _getter_of_stretches(letters: int, length: int) -> Callable[[str], Collection[str]]:
    """In C: what a filter's piece is looked for in is cut up at every event."""
    cuts = [slice(at, at + length) for at in range(0, letters - length + 1, 2)]
    return operator.itemgetter(*cuts) if len(cuts) > 1 else partial(_set_of_stretches, length)


def _set_of_stretches(length: int, text: str) -> Collection[str]:
    return {text[at : at + length] for at in range(0, len(text) - length + 1, 2)}


def _is_there(start: Get, view: Any) -> bool:
    try:
        start(view)
    except AttributeError:
        return False
    return True


def _straight(node: Any, parts: Parts) -> Any:
    """Through objects that were decoded whole. Raises AttributeError at a list, like a getter through structs."""
    for part in parts:
        if type(node) is dict:
            node = node.get(part, MISSING)
        elif type(node) is list:
            raise AttributeError(part)
        else:
            return MISSING
    return node


class _Object:
    """An object on the way to asked paths: its members are objects like it, or fields that are decoded whole."""

    __slots__ = ("empty", "members", "name", "parent", "struct")

    def __init__(self, parent: _Object | None, name: str) -> None:
        self.parent = parent
        self.name = name
        self.members: dict[str, _Object | str] = {}
        self.struct: Any = None
        self.empty: Any = None

    def make(self) -> None:
        fields: list[Any] = []
        for member in self.members.values():
            if isinstance(member, _Object):
                element: Any = member.struct | list[Any] | _OTHER
                fields.append((member.name, member.struct | list[element] | _OTHER, member.empty))
            else:
                fields.append((member, Any, MISSING))
        keys = {member if isinstance(member, str) else member.name: key for key, member in self.members.items()}
        self.struct = msgspec.defstruct("Asked", fields, rename=keys, frozen=True, eq=False, gc=False)
        self.empty = self.struct()


class Projection:
    """The paths that are asked of one resource, and the decoder that reads them."""

    def __init__(self) -> None:
        self._root = _Object(None, "")
        self._paths: dict[tuple[Parts, bool], Path] = {}
        self.learned: list[Path] = []
        """Paths that turned out to have many values, since somebody last took them from here."""
        self._stale: set[_Object] = {self._root}
        self._getters: dict[tuple[Path, ...], Get] = {}
        self.looks: WeakValueDictionary[Hashable, Looks] = WeakValueDictionary()
        """Those that nodes have, as `looks_of` knows them."""
        self._empties: frozenset[int] = frozenset()
        self.reads_whole = False  #: some path can only be found in all of the entity
        self.read: Get
        """The decoder alone: enough when nothing reads the whole entity."""
        self._raw = b""
        self._whole: tuple[bytes, Any] = (b"", None)
        self.make()

    def path(self, parts: Parts, *, whole: bool = False) -> Path:
        """`whole`: what is inside of an object or a list at its end is looked at too."""
        found = self._paths.get((parts, whole))
        if found is None:
            names, inner = self._place(parts, whole)
            self.reads_whole |= not names
            found = self._paths[parts, whole] = Path(self, parts, names, inner)
        return found

    def getter_of(self, paths: tuple[Path, ...]) -> Get:
        """The value of one path, or a tuple of them; as `Path.get`. One object for all who ask for the same.

        Ten thousand nodes with getters of their own would keep the processor waiting for its memory.
        """
        if paths not in self._getters:
            fields = [path.fields for path in paths if path.fields is not None]
            gets = [path.get for path in paths]
            if len(paths) == 1:
                self._getters[paths] = gets[0]
            elif len(fields) == len(paths):
                self._getters[paths] = operator.attrgetter(*fields)
            else:
                self._getters[paths] = lambda view: tuple([get(view) for get in gets])
        return self._getters[paths]

    def forget(self, path: Path) -> None:
        """Nobody asks for it any more. Its field is read on until the engine starts anew."""
        for key in ((path.parts, False), (path.parts, True)):
            if self._paths.get(key) is path:
                del self._paths[key]
        self._getters = {paths: get for paths, get in self._getters.items() if path not in paths}

    def of_element(self, parts: Parts, inside: Parts) -> Path | None:
        """A path inside of the objects that stand at `parts`, to be asked of one of them. None: read them whole."""
        names, inner = self._place((*parts, *inside), False)
        if len(names) < len(parts) + len(inside):
            return None
        return Path(self, inside, names[len(parts) :], inner)

    def expect(self, wanted: Iterable[tuple[Parts, bool]]) -> None:
        """Make room for many paths at once, each object read in the way that suits all that is asked of it."""
        asked = set(wanted)
        members: defaultdict[Parts, set[str]] = defaultdict(set)
        for parts, _ in asked:
            for depth, part in enumerate(parts):
                members[parts[:depth]].add(part)
        for parts in sorted(prefix for prefix, keys in members.items() if prefix and len(keys) > FIELDS):
            self._place(parts, True)
        for parts, whole in sorted(asked, key=lambda wish: (not wish[1], -len(wish[0]), wish[0])):
            self.path(parts, whole=whole)

    def decode(self, entity: bytes) -> Any:
        """The view of an entity that paths look at, valid until the next. Raises msgspec.DecodeError for no object."""
        if self.reads_whole:
            self._raw = entity
        return self.read(entity)

    def whole_entity(self, view: Any) -> Any:
        """All of the entity whose view this is; read when first asked for."""
        if self._whole[0] is not self._raw:
            self._whole = (self._raw, orjson.loads(self._raw))
        return self._whole[1]

    def is_empty(self, node: Any) -> bool:
        """Whether it stands for an object that is not there."""
        return id(node) in self._empties

    def _place(self, parts: Parts, whole: bool) -> tuple[Parts, _Object | None]:
        """The fields to go through, none where only the whole entity helps; and the object that it ends at, if so."""
        node = self._root
        names: list[str] = []
        for depth, part in enumerate(parts):
            last = depth == len(parts) - 1
            # A number may be an index, and structs have none: the value is decoded whole from here on.
            ends = last or _is_index(parts[depth + 1])
            if part not in node.members:
                if len(node.members) >= FIELDS or _NO_FIELD.search(part):
                    return (), None
                self._add(node, part, is_object=not ends)
            member = node.members[part]
            if isinstance(member, str):
                return (*names, member), None
            if ends and (whole or not last):
                return (), None
            names.append(member.name)
            node = member
        return tuple(names), node

    def _add(self, node: _Object, part: str, *, is_object: bool) -> None:
        name = f"f{len(node.members)}"
        node.members[part] = member = _Object(node, name) if is_object else name
        changed: _Object | None = member if isinstance(member, _Object) else node
        while changed is not None:
            self._stale.add(changed)
            changed = changed.parent

    def make(self) -> None:
        """After paths were added and before the next entity is read."""
        if not self._stale:
            return
        for node in _inside_out(self._root):
            if node in self._stale:
                node.make()
        self._stale.clear()
        self._empties = frozenset(id(node.empty) for node in _inside_out(self._root))
        self.read = msgspec.json.Decoder(self._root.struct).decode


def _inside_out(node: _Object) -> Iterator[_Object]:
    for member in node.members.values():
        if isinstance(member, _Object):
            yield from _inside_out(member)
    yield node


def _is_index(part: str) -> bool:
    return part.isdigit()
