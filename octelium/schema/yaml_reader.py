"""YAML as people write resources in: strict, bounded, with a line for every place.

Plain scalars mean what the core schema of YAML 1.2 says (https://yaml.org/spec/1.2.2/, 10.3), so
`yes`, `NO` and dates are texts. A `!` by itself is refused, although it is a tag: `! ctx.a` would
be the text `ctx.a`, an expression without its negation. Input is bounded in size, depth and in what
aliases expand to. The tree is built from libyaml's events without recursion: its own composer
overflows the stack.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from octelium.schema.json_reader import Problem
from octelium.schema.yaml_faults import Fault, remedied, syntax_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.schema.errors import Step

MAX_TEXT = 32 * 1024 * 1024
"""Characters of one text."""
MAX_DEPTH = 100
"""Levels of mappings and sequences."""
MAX_NODES = 1_000_000
"""Values of one document, those that aliases repeat included."""
MAX_FAULTS = 50
"""Faults of one document that are listed."""
MAX_BROKEN = 20
"""Documents of a text that may be broken before the reading ends."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DOCUMENT_START = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_STANDARD = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset({_STANDARD + name for name in ("int", "float", "bool", "null")})
_TEXT_TAGS = frozenset({_STANDARD + "str", _STANDARD + "timestamp"})
_BINARY_TAG = _STANDARD + "binary"
_COLLECTION_TAGS = frozenset({None, "!", _STANDARD + "map", _STANDARD + "seq"})
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})")
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMBER_START = frozenset("+-.0123456789")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip
_NO_KEY = object()


class Place:
    """The line of a mapping or sequence, and of its parts: a line or a Place by key or index."""

    __slots__ = ("line", "parts")

    def __init__(self, line: int, parts: dict[Step, int | Place]) -> None:
        self.line = line
        self.parts = parts


class Tree:
    """One document.

    `value` is made of dict, list, str, int, float, bool and None, and is None for an empty
    document; when `broken` it is not to be used. `index` and `line` count from 1.
    """

    def __init__(self, index: int, line: int) -> None:
        self.index = index
        self.line = line
        self.value: Any = None
        self.place: int | Place = line
        self.faults: list[Fault] = []
        self.broken = False

    def line_of(self, steps: tuple[Step, ...]) -> int:
        """The line of the innermost part of a path that the document holds."""
        place = self.place
        line = self.line
        for step in steps:
            if not isinstance(place, Place) or step not in place.parts:
                break
            place = place.parts[step]
            line = place.line if isinstance(place, Place) else place
        return line

    def part(self, steps: tuple[Step, ...], value: Any) -> Tree:
        """What stands at a path, with the value `value`, as a document of its own."""
        part = Tree(self.index, self.line_of(steps))
        part.value, part.place = value, self.place
        for step in steps:
            # What a merge key brings has no place.
            known = part.place.parts if isinstance(part.place, Place) else {}
            part.place = known.get(step, part.line)
        return part


def read(text: str) -> Iterator[Tree]:
    """The documents of a text.

    After a fault that ends a document the reading goes on at the next line that begins one; after
    `MAX_BROKEN` such faults it ends.
    """
    if len(text) > MAX_TEXT:
        tree = Tree(1, 1)
        limit = f"the text is larger than {MAX_TEXT // 1024 // 1024} MiB"
        tree.broken = True
        tree.faults.append(Fault(1, Problem((), limit, "split it into several files")))
        yield tree
        return
    rest = text
    first_line = 1
    index = 0
    known: list[Fault] = []
    for attempt in range(MAX_BROKEN):
        composer = _Composer(index, first_line, known)
        try:
            yield from composer.documents(rest)
            return
        except _Refused as refused:
            end: int | None = refused.end
            mended = refused.mended
            tree = composer.tree or Tree(composer.index + 1, first_line)
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            fault, end, mended = syntax_fault(error, rest, first_line, _Loader)
            tree = composer.tree or Tree(composer.index + 1, fault.line)
            tree.faults.append(fault)
        tree.broken = True
        index = tree.index
        goes_on = not known or tree.faults[-1].line > known[-1].line
        if mended is not None and composer.tree is not None and goes_on:
            # The rest of the document is read as if the text had its quotes, to find more faults.
            known = tree.faults
            begin = composer.begin
            index -= 1
            if attempt + 1 < MAX_BROKEN:
                first_line += rest.count("\n", 0, begin)
                rest = mended[begin:]
                continue
        known = []
        yield tree
        following = None if end is None else _DOCUMENT_START.search(rest, max(end, 3))
        if following is None:
            return
        first_line += rest.count("\n", 0, following.start())
        rest = rest[following.start() :]


class _Frame:
    """A mapping or sequence that is being filled."""

    __slots__ = ("anchor", "before", "is_merge", "key", "key_line", "merged", "place", "value")

    def __init__(self, value: Any, place: Place, anchor: str | None, before: int) -> None:
        self.value = value
        self.place = place
        self.anchor = anchor
        self.before = before
        self.key: Any = _NO_KEY
        self.key_line = 0
        self.is_merge = False
        self.merged: list[Any] = []


class _Refused(Exception):  # noqa: N818  (no error of the program)
    """The rest of a document is not read; the next one begins after the character `end`.

    The parser is not asked for the rest either: libyaml's time grows with the square of the depth.
    """

    def __init__(self, end: int, mended: str | None = None) -> None:
        super().__init__()
        self.end = end
        self.mended = mended


class _Composer:
    """Builds Trees from events. `known` are faults of the first document, which make it broken."""

    def __init__(self, index: int, first_line: int, known: Sequence[Fault]) -> None:
        self.index = index
        self.first_line = first_line
        self.known = known
        self.begin = 0
        """Where the document begins."""
        self.text = ""
        self.tree: Tree | None = None
        self.frames: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int | Place, int]] = {}
        self.nodes = 0
        self.end = 0

    def documents(self, text: str) -> Iterator[Tree]:
        self.text = text
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.DocumentEndEvent):
                tree = self.tree
                self.tree = None
                if tree is not None:
                    yield tree
            elif isinstance(event, yaml.DocumentStartEvent):
                self.index += 1
                self.frames.clear()
                self.anchors.clear()
                self.nodes = 0
                self.tree = Tree(self.index, self.line_of(event))
                self.tree.faults.extend(self.known)
                self.tree.broken = bool(self.known)
                self.known = ()
                mark: Any = event.start_mark
                self.begin = mark.index
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                self.event(event)

    def line_of(self, event: Any) -> int:
        return self.first_line + int(event.start_mark.line)

    def event(self, event: Any) -> None:
        """Take one event of a node."""
        self.end = event.start_mark.index
        line = self.line_of(event)
        if isinstance(event, yaml.ScalarEvent):
            self.begin_scalar(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.end_collection()
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event, line)
        else:
            self.begin_collection(event, line)

    def begin_scalar(self, event: Any, line: int) -> None:
        self.count(line)
        frame = self.frames[-1] if self.frames else None
        if frame is not None and frame.key is _NO_KEY and isinstance(frame.value, dict):
            value = event.value
            self.begin_entry(frame, value, line, is_merge=value == "<<" and event.implicit[0])
        else:
            value = self.scalar(event)
            self.add(value, line, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, line, 1)

    def count(self, line: int, nodes: int = 1) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self.refuse(line, f"the document has more than {MAX_NODES} values", "split it")

    def begin_entry(self, frame: _Frame, key: str, line: int, *, is_merge: bool = False) -> None:
        frame.key = key
        frame.key_line = line
        frame.is_merge = is_merge
        if key in frame.place.parts:
            first = frame.place.parts[key]
            first_line = first.line if isinstance(first, Place) else first
            self.note(line, f"given twice, first in line {first_line}", "keep one of the two")

    def begin_collection(self, event: Any, line: int) -> None:
        self.count(line)
        if event.tag not in _COLLECTION_TAGS:
            self.refuse(line, f"unknown tag {event.tag[:60]}", "remove it")
        if len(self.frames) >= MAX_DEPTH:
            self.refuse(line, f"nested more than {MAX_DEPTH} levels deep", "flatten it")
        if self.frames:
            frame = self.frames[-1]
            if isinstance(frame.value, dict) and frame.key is _NO_KEY:
                self.refuse(line, "a list or an object cannot be a key", "put it in quotes")
            if isinstance(frame.value, dict):
                line = frame.key_line
        elif self.tree is not None:
            self.tree.line = line
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.frames.append(_Frame(value, Place(line, {}), event.anchor, self.nodes))

    def end_collection(self) -> None:
        frame = self.frames.pop()
        for merged in frame.merged:
            for key, item in merged.items():
                frame.value.setdefault(key, item)
        if frame.anchor is not None:
            size = self.nodes - frame.before + 1
            self.anchors[frame.anchor] = (frame.value, frame.place, size)
        self.add(frame.value, frame.place, frame.place.line)

    def alias(self, event: Any, line: int) -> None:
        known = self.anchors.get(event.anchor)
        if known is None:
            shown = event.anchor[:60]
            self.refuse_text(event, f"*{shown} refers to no &{shown} that stands before it", "*")
            return
        value, place, size = known
        self.count(line, size)
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is _NO_KEY:
            if not isinstance(value, str):
                self.refuse(line, "an alias of another thing than a text cannot be a key", "")
            self.begin_entry(frame, value, line)
            return
        self.add(value, Place(line, place.parts) if isinstance(place, Place) else line, line)

    def add(self, value: Any, place: int | Place, line: int) -> None:
        if not self.frames:
            assert self.tree is not None
            self.tree.value = value
            self.tree.place = place
            return
        frame = self.frames[-1]
        if isinstance(frame.value, list):
            frame.place.parts[len(frame.value)] = place
            frame.value.append(value)
            return
        if frame.is_merge:
            self.merge(frame, value, line)
        else:
            frame.value[frame.key] = value
            frame.place.parts[frame.key] = place if isinstance(place, Place) else frame.key_line
        frame.key = _NO_KEY

    def merge(self, frame: _Frame, value: Any, line: int) -> None:
        """The merge key of YAML 1.1 (https://yaml.org/type/merge.html), used with aliases."""
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            self.refuse(line, "<< takes an object or a list of objects", "")
        self.count(line, sum(len(part) for part in parts))
        frame.merged.extend(parts)

    def scalar(self, event: Any) -> Any:
        text = event.value
        tag: str | None = event.tag
        if tag in _PLAIN_TAGS or (event.implicit[0] and tag is None):
            return resolve(text)
        if tag is None or tag in _TEXT_TAGS:
            return text
        if tag == _BINARY_TAG:
            return "".join(text.split())
        self.refuse_text(event, f"{tag[:60]} is read as a tag of YAML", "!")
        return None

    def steps(self) -> tuple[Step, ...]:
        """Where the composer is."""
        found: list[Step] = []
        for frame in self.frames:
            if isinstance(frame.value, list):
                found.append(len(frame.value))
            elif frame.key is not _NO_KEY:
                found.append(frame.key)
        return tuple(found)

    def note(self, line: int, problem: str, remedy: str) -> None:
        assert self.tree is not None
        self.tree.faults.append(Fault(line, Problem(self.steps(), problem, remedy)))
        if len(self.tree.faults) >= MAX_FAULTS:
            raise _Refused(self.end)

    def refuse_text(self, event: Any, problem: str, indicator: str) -> None:
        """Raise _Refused for what may be a text without its quotes."""
        assert self.tree is not None
        remedy = f"put a text that begins with {indicator} in quotes"
        fault = Fault(self.line_of(event), Problem(self.steps(), problem, remedy))
        fault, mended = remedied(fault, self.text, event.start_mark, _Loader)
        self.tree.faults.append(fault)
        raise _Refused(self.end, mended)

    def refuse(self, line: int, problem: str, remedy: str) -> None:
        """Raise _Refused after noting why."""
        self.note(line, problem, remedy)
        raise _Refused(self.end)


def resolve(text: str) -> Any:
    """The value of a plain scalar.

    A number with leading zeros stays a text: it may be meant as an octal one or as an identifier.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMBER_START:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text
