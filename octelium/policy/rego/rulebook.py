"""Which rules a module has, and what a reference to one means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from octelium.policy.rego.tokens import RegoSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from octelium.policy.rego import ast
    from octelium.policy.rego.tree import RulePath

MAX_PATH: Final = 16
"""Steps of a rule's name."""

Kind = Literal["value", "object", "set", "function"]


class Rulebook:
    """The rules of a module by path.

    Raises:
        RegoSyntaxError: definitions contradict each other.
    """

    def __init__(self, rules: Iterable[ast.Rule]) -> None:
        self.rules: dict[RulePath, list[ast.Rule]] = {}
        self._kinds: dict[RulePath, Kind] = {}
        self._below: dict[RulePath, list[RulePath]] = {}
        for rule in rules:
            self._add(rule)
        for path, kind in self._kinds.items():
            for end in range(1, len(path)):
                if self._kinds.get(path[:end]) in ("value", "function", "set"):
                    raise RegoSyntaxError(
                        self.rules[path][0].line,
                        f"{'.'.join(path)} stands below the rule {'.'.join(path[:end])}",
                    )
            if kind == "value" and sum(rule.is_default for rule in self.rules[path]) > 1:
                line = self.rules[path][-1].line
                raise RegoSyntaxError(line, f"{'.'.join(path)} has more than one default")

    def _add(self, rule: ast.Rule) -> None:
        kind = _kind(rule)
        known = self._kinds.setdefault(rule.path, kind)
        if known != kind:
            raise RegoSyntaxError(
                rule.line, f"{rule.name} is a {kind} here and a {known} somewhere else"
            )
        if len(rule.path) > MAX_PATH:
            raise RegoSyntaxError(rule.line, f"a rule's path has more than {MAX_PATH} steps")
        rules = self.rules.setdefault(rule.path, [])
        if rule.args is not None and rules and len(rules[0].args or ()) != len(rule.args):
            raise RegoSyntaxError(rule.line, f"{rule.name} takes different numbers of arguments")
        rules.append(rule)
        if len(rules) == 1:
            for end in range(1, len(rule.path) + 1):
                below = self._below.setdefault(rule.path[:end], [])
                if kind != "function":
                    below.append(rule.path)

    def kind(self, path: RulePath) -> Kind | None:
        """What the rules of exactly this path define."""
        return self._kinds.get(path)

    def is_rule(self, name: str) -> bool:
        """Whether a rule, or a path that rules stand below, has this name."""
        return (name,) in self._below

    def prefix(self, path: RulePath) -> RulePath:
        """As much of a path as leads to one rule; beyond it values are looked into.

        Where rules with computed keys stand beside others, it ends before them.
        """
        end = 1
        while (
            end < len(path)
            and path[: end + 1] in self._below
            and self._kinds.get(path[:end]) is None
        ):
            end += 1
        return path[:end]

    def below(self, path: RulePath) -> Sequence[RulePath]:
        """The paths of rules at or below `path`, but for functions."""
        return self._below.get(path, ())

    def prefixes(self) -> Iterable[RulePath]:
        """Every path that rules stand at or below."""
        return self._below


def _kind(rule: ast.Rule) -> Kind:
    if rule.args is not None:
        return "function"
    if rule.keys:
        return "object"
    return "set" if rule.element else "value"


def refuse_cycles(
    calls: Mapping[RulePath, Iterable[RulePath]], lines: Mapping[RulePath, int]
) -> None:
    """Refuse rules that depend on themselves.

    Raises:
        RegoSyntaxError: some do.
    """
    done: set[RulePath] = set()
    for start in calls:
        if start in done:
            continue
        trail = [(start, iter(calls[start]))]
        active = {start}
        while trail:
            path, following = trail[-1]
            for called in following:
                if called in active:
                    problem = f"rule {'.'.join(called)} is recursive: it depends on itself"
                    raise RegoSyntaxError(lines[called], problem)
                if called not in done:
                    active.add(called)
                    trail.append((called, iter(calls[called])))
                    break
            else:
                done.add(path)
                active.discard(path)
                trail.pop()
