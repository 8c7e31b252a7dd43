"""Runs one document: its commands in order, its files, and what it says that they answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from tests.docs.markdown import SHELL, Block, DocumentError, blocks
from tests.docs.world import SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.docs.world import World

_ANY = "…"
_APPLY = "octeliumctl apply --strict --include-secret -"


@dataclass
class Runner:
    """Where a document is run, and what has been seen of it."""

    world: World
    folder: Path
    host: str = SERVER
    run: int = 0
    """Commands that were run."""
    files: set[str] = field(default_factory=set)
    output: str = ""
    words: dict[str, str] = field(default_factory=dict)
    """What stands for the words that a reader replaces."""
    after: list[Callable[[Runner, Block], None]] = field(default_factory=list)
    """What looks at the world after each shell block."""
    special: Mapping[str, Callable[[Runner, Block], None]] = field(default_factory=dict)
    """How files are tried that no command here reads, by their names."""

    def document(self, document: Path) -> None:
        """Run all of it. Raises AssertionError, DocumentError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = len(self.world.running)
        found = blocks(document)
        try:
            for place, block in enumerate(found):
                later = "\n".join(each.text for each in found[place + 1 :])
                self._block(block, later)
        finally:
            self.world.end(begun)

    def _block(self, block: Block, later: str) -> None:
        if block.not_run:
            return
        if block.language == SHELL:
            self._shell(block)
        elif block.language == "text":
            compare(block, self.output)
        elif block.language in ("yaml", "rego", "python", "json"):
            self._file(block, later)
        else:
            raise DocumentError(f"{block.place}: nobody runs {block.language}")

    def _shell(self, block: Block) -> None:
        script = block.text
        for word, stands in self.words.items():
            script = re.sub(rf"\b{word}\b", lambda _, to=stands: to, script)
        host = block.said.get("on", self.host)
        _, _, taken = block.said.get("take", "").partition(" = ")
        if awaited := block.said.get("background"):
            # Both, in any order, wherever they are.
            pattern = f"(?s)(?=.*{re.escape(awaited)}){taken and f'.*{taken}'}"
            self.output = self.world.background(script, host, self.folder, pattern).said
        else:
            done = self.world.shell(script, host, self.folder)
            self.output = done.stdout
            wanted = int(block.said.get("exit", "0"))
            if done.returncode != wanted:
                raise AssertionError(
                    f"{block.place}: ends with {done.returncode}\n{script}\n{self.output}"
                )
        self.run += len(block.commands)
        if taken:
            match = re.search(taken, self.output)
            if match is None:
                raise AssertionError(f"{block.place}: no {taken} in\n{self.output}")
            self.words[block.said["take"].partition(" = ")[0]] = match[1]
        for each in self.after:
            each(self, block)

    def _file(self, block: Block, later: str) -> None:
        """Write a file that a later command reads; apply resources that are in none."""
        if block.language == "yaml":
            list(yaml.safe_load_all(block.text))
        elif block.language == "json":
            json.loads(block.text)
        name = block.file
        if name:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
            self.files.add(name)
        if name in self.special:
            self.special[name](self, block)
        elif name:
            folder = name.rpartition("/")[0]
            if name not in later and not (folder and f"{folder}/" in later):
                raise DocumentError(f"{block.place}: no command reads {name}")
        elif block.language == "yaml":
            done = self.world.shell(f"{_APPLY} <<'END'\n{block.text}END\n", SERVER, self.folder)
            if done.returncode != 0:
                raise AssertionError(f"{block.place}: {done.stdout}")
        else:
            raise DocumentError(f"{block.place}: {block.language} without a file's name")


def compare(block: Block, output: str) -> None:
    """Whether the output has the block's lines in their order; `…` stands for anything."""
    lines = iter(" ".join(line.split()) for line in output.replace("\r", "").splitlines())
    for wanted in block.text.splitlines():
        shape = " ".join(wanted.split())
        if shape in ("", _ANY):
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in shape.split(_ANY)))
        if not any(pattern.fullmatch(line) for line in lines):
            raise AssertionError(f"{block.place}: no line {wanted!r} where it should be:\n{output}")
