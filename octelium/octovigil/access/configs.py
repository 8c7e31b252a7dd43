"""Dynamic configuration when the request is not known: whether selecting one may fail.

After a request is allowed, a rule of the Service's dynamic configuration that fails refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.octovigil.access.conditions import Judgement, OpenCondition, known_at, open_condition
from octelium.octovigil.access.formula import FALSE, TRUE
from octelium.octovigil.configs import ServiceConfigs
from octelium.octovigil.errors import DecisionError
from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.openmap import looks_at_unknown
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.reads import Path
from octelium.policy.cel.values import NOW

if TYPE_CHECKING:
    from octelium.octovigil.access.conditions import Known
    from octelium.octovigil.configs import ConfigRule
    from octelium.replica.replica import ServiceEntry


class Configuration:
    """The rules of one version of a Service: holds always, and fails where selecting does."""

    __slots__ = ("_rules", "reads")

    def __init__(self, service: ServiceEntry) -> None:
        configs = ServiceConfigs(service)
        sources = service.message.spec.dynamic_config.rules
        self._rules: list[tuple[OpenCondition, ConfigRule]] = [
            (open_condition(source.condition, f"the condition of {rule.place}"), rule)
            for source, rule in zip(sources, configs.rules, strict=True)
        ]
        self.reads = frozenset[Path]().union(
            *(test.reads | rule.reads for test, rule in self._rules)
        )

    def judge(self, known: Known) -> Judgement:
        """The rules one after the other, as far as each is reached."""
        of = known.formulas
        reached, fails = TRUE, FALSE
        for test, rule in self._rules:
            if reached is FALSE:
                break
            here = test.judge(known)
            broken = of.all([here.holds, TRUE if _fails(rule, known) else FALSE])
            fails = of.any([fails, of.all([reached, of.any([here.fails, broken])])])
            reached = of.all([reached, of.negation(of.any([here.holds, here.fails]))])
        return Judgement(TRUE, fails)


def _fails(rule: ConfigRule, known: Known) -> bool:
    """Whether a rule that holds surely selects nothing; what depends on the request may not."""
    if rule.value is not None and looks_at_unknown(rule.value.program.reads, known.ctx):
        return False
    ctx = known.ctx if rule.module is None else known_at(rule.module.reads, known.ctx)
    if ctx is None:
        return False
    frame = new_frame(ctx)
    frame[NOW] = known.now
    try:
        rule.select(frame)
    except DecisionError:
        return True
    except EvaluationError:
        return False
    return False
