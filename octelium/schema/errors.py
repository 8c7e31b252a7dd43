"""What is said about input that is refused: where the fault lies, what it is, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import indent

from octelium.schema.unseen import one_line

Step = str | int

_STEP = re.compile(r'\[(\d+)\]|\["(.*?)"\]|\.?([^.\[]+)', re.DOTALL)


def render_path(steps: tuple[Step, ...]) -> str:
    """The readable form of a place in a document: `spec.rules[2].condition.match`.

    Keys that hold other characters than those of identifiers are quoted: `labels["a.b"]`.
    """
    parts: list[str] = []
    for step in steps:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif step.replace("-", "_").isidentifier():
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{step}"]')
    return "".join(parts)


def path_steps(path: str) -> tuple[Step, ...]:
    """The steps of a readable form that `render_path` made."""
    return tuple(int(index) if index else key or name for index, key, name in _STEP.findall(path))


def under(path: str, step: Step) -> str:
    """The path of a part of what stands at `path`."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    rendered = render_path((step,))
    return f"{path}{rendered}" if not path or rendered.startswith("[") else f"{path}.{rendered}"


class Invalid(Exception):  # noqa: N818  (reads as the verdict that it is: `raise Invalid(…)`)
    """One resource or value that breaks a rule.

    `path` names the field in JSON names (empty: the whole value), `problem` says what is wrong
    with it, `remedy` what to write instead (may be empty).
    """

    def __init__(self, path: str, problem: str, remedy: str = "") -> None:
        super().__init__(path, problem, remedy)
        self.path = path
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return sentence(self.path, self.problem, self.remedy)

    def within(self, prefix: str) -> Invalid:
        """The same fault, seen from the object that holds the value at `prefix`."""
        joint = "" if not self.path or self.path.startswith("[") or not prefix else "."
        return Invalid(f"{prefix}{joint}{self.path}", self.problem, self.remedy)


@dataclass(frozen=True, slots=True)
class DocumentError:
    """A fault in a file of resources.

    `document` counts from 1 within `source`, 0 is the file as a whole; `line` counts from 1 within
    the file. A fault of the YAML itself may have a `column`, which counts from 1, and an excerpt of
    the file.
    """

    source: str
    document: int
    line: int
    path: str
    problem: str
    remedy: str = ""
    column: int = 0
    excerpt: str = ""

    def __str__(self) -> str:
        source = one_line(self.source)
        place = f"{source}:{self.line}" + (f":{self.column}" if self.column else "")
        told = sentence(self.path, self.problem, self.remedy)
        if not self.document:
            return f"{source}: {told}"
        text = f"{place} (document {self.document}): {told}"
        return f"{text}\n{indent(self.excerpt, '  | ')}" if self.excerpt else text


class InvalidDocuments(Exception):  # noqa: N818  (as Invalid)
    """Everything that is wrong with the documents of one run."""

    def __init__(self, errors: list[DocumentError]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def sentence(path: str, problem: str, remedy: str) -> str:
    """One line out of the parts of a fault."""
    text = f"{path}: {problem}" if path else problem
    return one_line(f"{text} ({remedy})" if remedy else text)
