"""The effective configuration of an allowed request.

https://octelium.com/docs/octelium/latest/management/core/service/dynamic-config: the rules are
tried in order and the first whose condition holds selects a named configuration, or computes one.
Here a rule that fails refuses the request: another configuration may carry other credentials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.octovigil.errors import DecisionError
from octelium.octovigil.policies import broken
from octelium.policy.cel.errors import (
    BudgetError,
    CompileError,
    EvaluationError,
    UnknownDataError,
)
from octelium.policy.cel.values import ABSENT, ATTRS, Frame
from octelium.policy.checker import Checker
from octelium.policy.condition import CompiledCondition, compile_condition
from octelium.policy.rego.module import CONFIGURATION, RegoModule, compile_module
from octelium.policy.value import CompiledValue, compile_value
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.policy.cel.program import Program
    from octelium.policy.cel.reads import Path
    from octelium.replica.replica import ServiceEntry

DEFAULT: Final = "default"

_MAX_COMPUTED: Final = 64
_CHECKER: Final = Checker()


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A configuration and its name, which is empty if it was computed; None if there is none."""

    config: core.ServiceSpecConfig | None
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class ConfigRule:
    """One rule of a Service's dynamic configuration."""

    place: str
    condition: CompiledCondition
    value: CompiledValue | None
    """The expression that computes the configuration, if it is computed."""
    select: Callable[[Frame], Selection]
    """What the rule selects on a frame. Raises as `ServiceConfigs.select`."""
    module: RegoModule | None = None
    """The module that computes the configuration, if one does."""

    @property
    def reads(self) -> frozenset[Path]:
        """Paths below `ctx` that the rule can depend on."""
        source = self._source
        return self.condition.reads if source is None else self.condition.reads | source.reads

    @property
    def volatile(self) -> bool:
        """Whether the rule depends on the time of day."""
        source = self._source
        return self.condition.volatile or (source is not None and source.volatile)

    @property
    def _source(self) -> RegoModule | Program | None:
        """What computes the configuration, if anything does."""
        return self.module if self.value is None else self.value.program


class ServiceConfigs:
    """The configurations of one version of a Service, and the rules that choose among them."""

    __slots__ = ("_computed", "_named", "_service", "default", "rules")

    def __init__(self, service: ServiceEntry) -> None:
        spec = service.message.spec
        self._service = service
        self.default = Selection(spec.config if spec.HasField("config") else None, DEFAULT)
        self._named = {config.name: config for config in spec.dynamic_config.configs}
        self._computed: dict[bytes, Selection] = {}
        self.rules: tuple[ConfigRule, ...] = tuple(
            self._rule(rule, f"dynamicConfig.rules[{index}]")
            for index, rule in enumerate(spec.dynamic_config.rules)
        )

    def select(self, rules: Sequence[ConfigRule], frame: Frame) -> Selection:
        """What the first of `rules` that holds selects; the default if none does.

        Raises:
            UnknownDataError: that depends on the request, which is not known yet.
            BudgetError: it takes more steps than are left.
            DecisionError: a rule failed.
        """
        frame[ATTRS] = ABSENT
        for rule in rules:
            try:
                if rule.condition.test(frame):
                    return rule.select(frame)
            except (UnknownDataError, BudgetError):
                raise
            except EvaluationError as error:
                raise DecisionError(f"{rule.place}: {error}") from None
        return self.default

    def _rule(self, rule: core.ServiceSpecDynamicConfigRule, place: str) -> ConfigRule:
        try:
            condition = compile_condition(rule.condition, f"{place}.condition")
        except CompileError as error:
            condition = broken(str(error))
        match rule.WhichOneof("type"):
            case "config_name":
                return ConfigRule(place, condition, None, self._by_name(rule.config_name, place))
            case "eval":
                try:
                    value = compile_value(rule.eval)
                except CompileError as error:
                    return ConfigRule(place, condition, None, _failing(f"{place}.eval: {error}"))
                return ConfigRule(place, condition, value, self._by_value(value, f"{place}.eval"))
            case "opa":
                try:
                    module = compile_module(rule.opa, CONFIGURATION)
                except CompileError as error:
                    return ConfigRule(place, condition, None, _failing(f"{place}.opa: {error}"))
                select = self._by_module(module, f"{place}.opa")
                return ConfigRule(place, condition, None, select, module)
        return ConfigRule(place, condition, None, _failing(f"{place} selects nothing"))

    def _by_name(self, name: str, place: str) -> Callable[[Frame], Selection]:
        if name in ("", DEFAULT):
            return lambda _frame: self.default
        config = self._named.get(name)
        if config is None:
            return _failing(f"{place}.configName: there is no configuration {name!r}")
        try:
            selection = Selection(self._merged(config), name)
        except DecisionError as error:
            return _failing(f"{place}.configName: {error}")
        return lambda _frame: selection

    def _by_value(self, value: CompiledValue, place: str) -> Callable[[Frame], Selection]:
        def compute(frame: Frame) -> Selection:
            try:
                form = value.json_of(frame)
            except (UnknownDataError, BudgetError):
                raise
            except EvaluationError as error:
                raise DecisionError(f"{place}: {error}") from None
            if not isinstance(form, dict):
                raise DecisionError(f"{place}: the result is no map")
            return self._from_form(form, place)

        return compute

    def _by_module(self, module: RegoModule, place: str) -> Callable[[Frame], Selection]:
        def compute(frame: Frame) -> Selection:
            try:
                form = module.form(frame)
            except (UnknownDataError, BudgetError):
                raise
            except EvaluationError as error:
                raise DecisionError(f"{place}: {error}") from None
            return self._from_form(form, place)

        return compute

    def _from_form(self, form: dict[str, object], place: str) -> Selection:
        # Only Services that compute configurations need the rules of validation in this process.
        from octelium.schema.validation import validate_config

        try:
            config = from_json(core.ServiceSpecConfig, form)
            key = config.SerializeToString(deterministic=True)
            known = self._computed.get(key)
            if known is not None:
                return known
            validate_config(config, self._service.message, view=None, expressions=_CHECKER)
        except Invalid as error:
            raise DecisionError(f"{place}: the result is no valid configuration: {error}") from None
        selection = Selection(self._merged(config), "")
        if len(self._computed) >= _MAX_COMPUTED:
            self._computed.clear()
        self._computed[key] = selection
        return selection

    def _merged(self, config: core.ServiceSpecConfig) -> core.ServiceSpecConfig:
        """A configuration over its parent, whose own parent does not count."""
        if not config.parent:
            return config
        parent = self.default.config if config.parent == DEFAULT else self._named.get(config.parent)
        if parent is None:
            raise DecisionError(f"the parent configuration {config.parent!r} does not exist")
        merged = core.ServiceSpecConfig()
        merged.CopyFrom(parent)
        merged.MergeFrom(config)
        return merged


def _failing(problem: str) -> Callable[[Frame], Selection]:
    def fail(_frame: Frame) -> Selection:
        raise DecisionError(problem)

    return fail
