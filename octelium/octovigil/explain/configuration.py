"""Which configuration an allowed request gets, and which rule says so."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from octelium.octovigil.configs import ConfigRule, ServiceConfigs
from octelium.octovigil.errors import DecisionError
from octelium.octovigil.explain.evaluation import ERROR, FALSE, TRUE, UNKNOWN, Evaluator, Result
from octelium.policy.cel.errors import EvaluationError

if TYPE_CHECKING:
    from octelium.octovigil.explain.evaluation import Verdict
    from octelium.replica.replica import ServiceEntry


class Chosen(NamedTuple):
    """How the choice came out. `failing` is the index of the rule that failed, else -1."""

    verdict: Verdict
    detail: str
    name: str = ""
    failing: int = -1


def choose(service: ServiceEntry, evaluator: Evaluator) -> Chosen:
    """Try the rules of the dynamic configuration in their order."""
    configs = ServiceConfigs(service)
    for index, rule in enumerate(configs.rules):
        result = evaluator.of_compiled(rule.condition, None, by_module=True)
        if result.verdict == FALSE:
            continue
        name = ""
        if result.verdict == TRUE:
            name, result = _selected(rule, evaluator)
        if result.verdict == UNKNOWN:
            return Chosen(UNKNOWN, f"{rule.place} depends on what is not known")
        if result.verdict == ERROR:
            return Chosen(ERROR, result.error, failing=index)
        return Chosen(TRUE, f"{name or 'a computed one'}, chosen by {rule.place}", name)
    why = "since no rule chooses another" if configs.rules else "the only one"
    return Chosen(TRUE, f"{configs.default.name}, {why}", configs.default.name)


def _selected(rule: ConfigRule, evaluator: Evaluator) -> tuple[str, Result]:
    """What a rule that holds selects: its name, empty if it is computed."""
    if evaluator.touches(rule.reads):
        return "", Result(UNKNOWN)
    try:
        select = partial(rule.select, evaluator.ready(None, rule.reads))
        return evaluator.modules.answered(select).name, Result(TRUE)
    except (DecisionError, EvaluationError) as error:
        return "", Result(ERROR, str(error))
