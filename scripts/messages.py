"""What the programs say went wrong together with what to do about it, read from their sources."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
_ROOMS = ("cli", "client", "cluster", "vigil")
_ERROR = re.compile(r"(Broken|NotLoggedIn|[A-Z]\w*Error|fail)")
_PART = "part"
"""A finding of the Cluster's own doctor: name, outcome, detail, remedy."""
_ANY = "…"
_SHELL = re.compile(r"\bproblem [a-z]+ (\"[^\"]*\"|'[^']*') (?:\\\n\s*)?(\"[^\"]*\"|'[^']*')")
_VARIABLE = re.compile(r"\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|\$\w+")
_DEEP = 4


@dataclass(frozen=True)
class Message:
    """Its words and the remedy's; `…` stands for what only the moment knows."""

    problem: str
    remedy: str


@cache
def messages() -> list[Message]:
    """Those of the command lines, doctors and installers, sorted by their words, each once."""
    found: set[Message] = set()
    for room in _ROOMS:
        for file in sorted((ROOT / "octelium" / room).rglob("*.py")):
            found.update(_of_module(ast.parse(file.read_text(encoding="utf-8"))))
    found.update(_of_installer((ROOT / "install.sh").read_text(encoding="utf-8")))
    return sorted(found, key=lambda each: (_order(each.problem), each.remedy))


def _order(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower().replace(_ANY, "")).strip()


def _of_installer(text: str) -> Iterator[Message]:
    for match in _SHELL.finditer(text):
        problem, remedy = (_VARIABLE.sub(_ANY, each[1:-1]) for each in match.groups())
        yield Message(_tidy(problem), _tidy(remedy))


def _of_module(tree: ast.Module) -> Iterator[Message]:
    scopes: list[ast.AST] = [tree]
    scopes += [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    scopes += [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    for scope in scopes:
        for node in _own(scope):
            if isinstance(node, ast.Call):
                yield from _of_call(node, _Names(tree, scope, node.lineno))


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, those of functions within it left out."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own(child)


def _of_call(node: ast.Call, names: _Names) -> Iterator[Message]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else name
    first, second = (1, 3) if name == "ApiError" else (0, 1)
    if name == _PART and len(node.args) > 3:
        outcome = node.args[1]
        if not isinstance(outcome, ast.Constant) or outcome.value not in ("fail", "warn"):
            return
        first, second = 2, 3
    elif not _ERROR.fullmatch(name):
        return
    remedies = [word.value for word in node.keywords if word.arg == "remedy"]
    remedies += node.args[second : second + 1]
    if len(node.args) <= first or not remedies:
        return
    problem, remedy = (_tidy(names.text(each)) for each in (node.args[first], remedies[0]))
    if _has_words(problem) and _has_words(remedy):
        yield Message(problem, remedy)


def _has_words(text: str) -> bool:
    return len(re.findall(r"[A-Za-z]{2,}", text)) > 1


def _tidy(text: str) -> str:
    return re.sub(rf"{_ANY}[{_ANY}]+", _ANY, " ".join(text.split()))


class _Names:
    """What the names of a place stand for: the last value before it, or the module's."""

    def __init__(self, tree: ast.Module, scope: ast.AST, line: int) -> None:
        self._values: dict[str, ast.expr] = {}
        for each in (tree.body, list(_own(scope))):
            for node in each:
                if isinstance(node, ast.Assign) and (each is tree.body or node.lineno < line):
                    for target in node.targets:
                        if isinstance(target, ast.Name):
                            self._values[target.id] = node.value

    def text(self, node: ast.expr, depth: int = 0) -> str:
        """The text that an expression makes, with `…` for its variable parts."""
        if isinstance(node, ast.Constant):
            return str(node.value)
        if depth > _DEEP:
            return _ANY
        if isinstance(node, ast.JoinedStr):
            return "".join(self.text(value, depth) for value in node.values)
        if isinstance(node, ast.FormattedValue):
            return self.text(node.value, depth + 1)
        if isinstance(node, ast.Name) and node.id in self._values:
            return self.text(self._values[node.id], depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self.text(node.left, depth) + self.text(node.right, depth)
        return _ANY
