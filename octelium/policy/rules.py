"""Rules of logins: assurance levels, who may log in, whether an Authenticator is needed.

https://octelium.com/docs/octelium/latest/management/core/identity-provider/overview and
https://octelium.com/docs/octelium/latest/management/core/authenticator describe them. Rules are
tried in order and the first whose condition holds decides. A rule that fails counts on the safe
side: a login is refused, an Authenticator is required, and no level is given for it.

All functions evaluate on a frame (`cel.program.new_frame`) over a context of
`octelium.policy.rules_context`. They raise UnknownDataError, as `RegoNeeded` is one, when the
result of a Rego module has to be got first; with it they are called again on the same frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from octelium.policy.cel.errors import CompileError, EvaluationError, UnknownDataError
from octelium.policy.condition import compile_condition
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.policy.cel.values import Frame

    Level: TypeAlias = (
        core.SessionStatusAuthenticationInfoAal__.SessionStatusAuthenticationInfoAal.ValueType
    )
    Action: TypeAlias = (
        core.SessionStatusAuthenticatorAction__.SessionStatusAuthenticatorAction.ValueType
    )

_LOGIN: Final = core.IdentityProviderSpecPostAuthenticationRuleEffect__
_AUTHENTICATOR: Final = core.ClusterConfigSpecAuthenticatorRuleEffect__
_ENFORCEMENT: Final = core.ClusterConfigSpecAuthenticatorEnforcementRuleEffect__
_ACTION: Final = core.SessionStatusAuthenticatorAction__


@dataclass(frozen=True, slots=True)
class Assurance:
    """The level of an assertion; `problems` say which rules failed on the way, for the log."""

    level: Level
    rule: int | None = None
    """Position of the rule that decided; None if none did."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a login may go on; `problem` says why it failed, for the log."""

    passes: bool
    rule: int | None = None
    """Position of the rule that decided; None if none did."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a Session must do with Authenticators; `problem` says what failed, for the log."""

    action: Action
    rule: int | None = None
    """Position of the rule that decided; None if none did."""
    problem: str = ""


class _Rule(Protocol):
    @property
    def condition(self) -> core.Condition: ...


class _WithEffect(_Rule, Protocol):
    @property
    def effect(self) -> int: ...


def assurance(rules: Sequence[core.IdentityProviderSpecAalRule], frame: Frame) -> Assurance:
    """The authentication assurance level of an assertion, from `aalRules`.

    A rule that fails gives nothing, and the next is tried: rules only ever raise the level.
    """
    problems: list[str] = []
    for index, holds in _tried(rules, frame):
        if isinstance(holds, str):
            problems.append(f"aalRules[{index}]: {holds}")
        elif holds:
            # Both enums have the same values; the schema gives each message its own.
            level = core.SessionStatusAuthenticationInfoAal__.SessionStatusAuthenticationInfoAal
            name = core.IdentityProviderSpecAalRuleAal__.IdentityProviderSpecAalRuleAal.Name(
                rules[index].aal
            )
            return Assurance(level.Value(name), index, tuple(problems))
    return Assurance(core.SessionStatusAuthenticationInfoAal__.AAL_UNSET, None, tuple(problems))


def login(
    rules: Sequence[core.IdentityProviderSpecPostAuthenticationRule], frame: Frame
) -> Admission:
    """Whether a User may log in at an IdentityProvider, from its `postAuthenticationRules`."""
    return _admission(rules, _LOGIN.ALLOW, frame)


def authentication(
    rules: Sequence[core.ClusterConfigSpecAuthenticatorRule], frame: Frame
) -> Admission:
    """Whether an authentication with an Authenticator counts.

    From `authenticator.postAuthenticationRules` of the ClusterConfig.
    """
    return _admission(rules, _AUTHENTICATOR.ALLOW, frame)


def _admission(rules: Sequence[_WithEffect], allow: int, frame: Frame) -> Admission:
    for index, holds in _tried(rules, frame):
        if isinstance(holds, str):
            problem = f"postAuthenticationRules[{index}]: {holds}"
            return Admission(passes=False, rule=index, problem=problem)
        if holds:
            return Admission(passes=rules[index].effect == allow, rule=index)
    return Admission(passes=True)


def requirement(
    settings: core.ClusterConfigSpecAuthenticator, frame: Frame, *, available: bool
) -> Requirement:
    """What a new Session must do with Authenticators before it is of use.

    `available`: its User has Authenticators that it can use. Then the rules are
    `authenticationEnforcementRules`, else `registrationEnforcementRules`.
    """
    name = "authenticationEnforcementRules" if available else "registrationEnforcementRules"
    rules = (
        settings.authentication_enforcement_rules
        if available
        else settings.registration_enforcement_rules
    )
    actions = _AUTHENTICATION if available else _REGISTRATION
    for index, holds in _tried(rules, frame):
        if isinstance(holds, str):
            required = actions[_ENFORCEMENT.ENFORCE]
            return Requirement(required, index, f"{name}[{index}]: {holds}")
        if holds:
            return Requirement(actions.get(rules[index].effect, _NO_ACTION), index)
    return Requirement(_NO_ACTION)


_NO_ACTION: Final = _ACTION.AUTHENTICATOR_ACTION_UNSET
_AUTHENTICATION: Final[dict[int, Action]] = {
    _ENFORCEMENT.ENFORCE: _ACTION.AUTHENTICATION_REQUIRED,
    _ENFORCEMENT.RECOMMEND: _ACTION.AUTHENTICATION_RECOMMENDED,
}
_REGISTRATION: Final[dict[int, Action]] = {
    _ENFORCEMENT.ENFORCE: _ACTION.REGISTRATION_REQUIRED,
    _ENFORCEMENT.RECOMMEND: _ACTION.REGISTRATION_RECOMMENDED,
}


def _tried(rules: Sequence[_Rule], frame: Frame) -> Iterator[tuple[int, bool | str]]:
    """For each rule, when it is asked for: whether its condition holds, or why it failed."""
    for index, rule in enumerate(rules):
        try:
            yield index, compile_condition(rule.condition, "condition").test(frame)
        except UnknownDataError:
            raise
        except (CompileError, EvaluationError) as error:
            yield index, str(error) or type(error).__name__
