"""A whole resource, looked through for expressions that are likely wrong where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.policy.lint.conditions import lint_condition, lint_value
from octelium.policy.lint.finding import Finding
from octelium.policy.lint.places import Place, places
from octelium.policy.shape.contexts import Attachment, Context, Setting
from octelium.policy.shape.shape import Kind
from octelium.schema.names import parent_policy_name
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITE: Final = {
    Kind.STRING: "write string(...) around it",
    Kind.MAP: "write a map such as {'upstream': {'url': ...}}",
}


_ENFORCE: Final = core.ClusterConfigSpecAuthenticatorEnforcementRuleEffect__.ENFORCE


class Attachments(Protocol):
    """Where named Policies are attached, now or after what is being applied."""

    def services(self, policy: str) -> frozenset[Attachment]:
        """The Services to which a Policy, or one below it, is attached by name."""

    def elsewhere(self, policy: str) -> bool:
        """Whether it is attached to anything else too: then it may meet any request."""

    def policy(self, name: str) -> core.Policy | None:
        """The Policy of a name; None if there is none, or if it is reviewed by itself."""


def review(resource: Any, attachments: Attachments) -> list[Finding]:
    """What is likely wrong with the expressions of a resource, in their order.

    A Config is looked through for the groups that an IdentityProvider takes by it. For a Service
    that is also what can never be true in the Policies that it names, for the
    ClusterConfig what this Cluster does not offer.
    """
    match resource:
        case core.Policy():
            return _reviewed(resource, _services(resource.metadata.name, attachments), attachments)
        case core.Service():
            where = frozenset({attachment_of(resource)})
            found = [finding for place in places(resource) for finding in _look(place, where)]
            return [*found, *_named(resource, attachments)]
        case core.ClusterConfig():
            found = [finding for place in places(resource) for finding in _look(place, None)]
            return [*found, *_not_offered(resource), *_unregistered(resource)]
        case core.Config():
            return _groups(resource)
    return [finding for place in places(resource) for finding in _look(place, None)]


def attachment_of(service: core.Service) -> Attachment:
    """How a Service meets expressions."""
    spec = service.spec
    policies = not spec.is_anonymous or spec.authorization.enable_anonymous
    return Attachment(spec.mode, anonymous=spec.is_anonymous, policies=policies)


def _look(place: Place, where: frozenset[Attachment] | None) -> list[Finding]:
    context = Context(place.setting, where, has_attrs=place.in_policy)
    if isinstance(place.expression, str):
        wanted = _WRITE.get(place.kind, "") if place.kind is not None else ""
        return lint_value(place.expression, context, place.path, kind=place.kind, wanted=wanted)
    return lint_condition(place.expression, context, place.path)


def _not_offered(config: core.ClusterConfig) -> Iterator[Finding]:
    """Settings that can be stored and do nothing."""
    if config.spec.authentication.geolocation.mmdb.HasField("upstream"):
        yield Finding(
            "spec.authentication.geolocation.mmdb.upstream",
            "is not offered by this Cluster, so places stay unknown",
            "store the database in a Config and name it in fromConfig",
        )


def _unregistered(config: core.ClusterConfig) -> Iterator[Finding]:
    """Rules that want Authenticators of those alone who have some."""
    authenticator = config.spec.authenticator
    wanting = authenticator.authentication_enforcement_rules
    asks = any(rule.effect == _ENFORCE for rule in wanting)
    if asks and not authenticator.registration_enforcement_rules:
        yield Finding(
            "spec.authenticator.authenticationEnforcementRules",
            "people who have no Authenticator are let in without one",
            "add registrationEnforcementRules",
        )


def _groups(config: core.Config) -> list[Finding]:
    """The expression of a Config that names the groups of an assertion."""
    attrs = config.data.attrs.fields
    text = attrs["groups"].string_value if set(attrs) == {"groups"} else ""
    context = Context(Setting.ASSERTION)
    wanted = "write a list of texts"
    return lint_value(text, context, "data.attrs.groups", kind=Kind.LIST, wanted=wanted)


def _services(policy: str, attachments: Attachments) -> frozenset[Attachment] | None:
    """The Services that a Policy meets; None if none is known."""
    return attachments.services(policy) or None


def _reviewed(
    policy: core.Policy, where: frozenset[Attachment] | None, attachments: Attachments
) -> list[Finding]:
    anywhere = [finding for place in places(policy) for finding in _look(place, None)]
    if where is None:
        return anywhere
    there = [finding for place in places(policy) for finding in _look(place, where)]
    # Who else has it is the more expensive question, so it comes last.
    if there == anywhere or attachments.elsewhere(policy.metadata.name):
        return anywhere
    return there


def _named(service: core.Service, attachments: Attachments) -> Iterator[Finding]:
    """What can never be true, or is always true, in the Policies that a Service names."""
    for index, name in enumerate(service.spec.authorization.policies):
        path = f"spec.authorization.policies[{index}]"
        ancestor: str | None = name
        while ancestor:
            policy = attachments.policy(ancestor)
            if policy is not None:
                where = _services(ancestor, attachments)
                anywhere = _reviewed(policy, None, attachments)
                for finding in _reviewed(policy, where, attachments):
                    if finding not in anywhere:
                        problem = f"in {finding.path} of Policy {ancestor}: {finding.problem}"
                        yield Finding(path, problem, finding.remedy)
            ancestor = parent_policy_name(ancestor)
