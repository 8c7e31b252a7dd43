"""The rules of a decision, spelled out without any of what makes them fast.

Everything is looked up, built and evaluated anew for each request. Only the evaluation of single
conditions is shared with the product, and it is compared with Google's evaluator elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from octelium.identity.scopes import ApiCall, covers
from octelium.identity.tokens import TokenType
from octelium.policy.cel.errors import EvaluationError
from octelium.policy.condition import compile_condition
from octelium.policy.request import NoRequest, Request
from octelium.policy.value import compile_value
from octelium.replica.arrival import Arrival, Tunnel
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.octovigil.world import World

CLIENT = core.SessionStatusType__.CLIENT
CLIENTLESS = core.SessionStatusType__.CLIENTLESS


class Answer(NamedTuple):
    """What decisions are compared by."""

    outcome: str
    reason: int = 0
    rule: str = ""
    config: str = ""
    """Name and upstream of the configuration."""


class RefusalError(Exception):
    """An answer that was found on the way."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


ERROR = Answer("ERROR")


def decide(world: World, service_uid: str, request: Request, arrival: Arrival) -> Answer:
    """The answer to one request."""
    return _answer(
        world, service_uid, request, lambda service: _identify(world, service, request, arrival)
    )


def decide_stream(world: World, service_uid: str, request: Request, session_uid: str) -> Answer:
    """The answer to what began as a request of a Session, or of nobody with an empty uid."""
    entry = world.replica.sessions.get(session_uid)
    return _answer(world, service_uid, request, lambda _: None if entry is None else entry.message)


def _answer(
    world: World,
    service_uid: str,
    request: Request,
    identify: Callable[[core.Service], core.Session | None],
) -> Answer:
    try:
        return _decide(world, service_uid, request, identify)
    except RefusalError as refusal:
        return refusal.answer
    except EvaluationError:
        return ERROR


def _decide(
    world: World,
    service_uid: str,
    request: Request,
    identify: Callable[[core.Service], core.Session | None],
) -> Answer:
    replica = world.replica
    if service_uid not in replica.services:
        return ERROR
    service = replica.services[service_uid].message
    context: dict[str, Any] = {"service": replica.services[service_uid].json}
    if not isinstance(request, NoRequest):
        context["request"] = request.context()
    owners: list[Any] = [service]
    if service.spec.is_anonymous and service.spec.is_disabled:
        return ERROR
    if service.spec.is_anonymous and not service.spec.authorization.enable_anonymous:
        return Answer("ALLOWED", config=_config(world, service, context))
    namespace = replica.namespaces.get(service.status.namespace_ref.uid)
    if service.spec.is_anonymous:
        if namespace is None:
            return ERROR
        context["namespace"] = namespace.json
        owners.append(namespace.message)
    else:
        session = identify(service)
        if session is None:
            return Answer("UNAUTHENTICATED")
        if service.spec.is_disabled:
            return ERROR
        owners += _parties(world, service, session, context)
        _check(world, service, owners, request)
    rule = _first(world, owners, context)
    if rule is None:
        return Answer("DENIED", 6)
    if rule.effect != core.PolicySpecRuleEffect__.ALLOW:
        return Answer("DENIED", 5, rule.name)
    return Answer("ALLOWED", 5, rule.name, _config(world, service, context))


def _identify(
    world: World, service: core.Service, request: Request, arrival: Arrival
) -> core.Session | None:
    if isinstance(arrival, Tunnel):
        uid = arrival.session_uid
    else:
        if not service.spec.is_public or not request.token:
            return None
        claims = world.verifier.verify(request.token, TokenType.ACCESS)
        if claims is None:
            return None
        uid = claims.subject
    entry = world.replica.sessions.get(uid)
    if entry is None or entry.message.spec.expires_at.seconds <= world.now:
        return None
    if not isinstance(arrival, Tunnel):
        assert claims is not None
        if entry.message.status.authentication.token_id != claims.token_id:
            return None
    return entry.message


def _parties(
    world: World, service: core.Service, session: core.Session, context: dict[str, Any]
) -> list[Any]:
    replica = world.replica
    namespace = replica.namespaces.get(service.status.namespace_ref.uid)
    user = replica.users.get(session.status.user_ref.uid)
    if namespace is None or user is None:
        raise RefusalError(ERROR)
    device = None
    if session.status.device_ref.uid:
        device = replica.devices.get(session.status.device_ref.uid)
        if device is None:
            raise RefusalError(ERROR)
    groups = []
    for name in user.message.spec.groups:
        if name not in replica.groups_by_name:
            raise RefusalError(ERROR)
        groups.append(replica.groups_by_name[name])
    context["namespace"] = namespace.json
    context["session"] = replica.sessions[session.metadata.uid].json
    context["user"] = user.json
    if device is not None:
        context["device"] = device.json
    if groups:
        context["groups"] = [group.json for group in groups]
    return [
        namespace.message,
        user.message,
        *(group.message for group in groups),
        session,
        *([] if device is None else [device.message]),
    ]


def _check(world: World, service: core.Service, owners: list[Any], request: Request) -> None:
    now = world.now
    session = next(owner for owner in owners if isinstance(owner, core.Session))
    user = next(owner for owner in owners if isinstance(owner, core.User))
    device = next((owner for owner in owners if isinstance(owner, core.Device)), None)
    authentication = session.status.authentication
    action = core.SessionStatusAuthenticatorAction__
    ends = authentication.set_at.seconds + authentication.access_token_duration.hours * 3600
    checks = (
        (1, session.spec.state != core.SessionSpecState__.ACTIVE),
        (13, session.spec.expires_at.seconds <= now),
        (14, ends <= now),
        (8, session.status.is_locked),
        (9, user.status.is_locked),
        (11, session.status.authenticator_action == action.AUTHENTICATION_REQUIRED),
        (12, session.status.authenticator_action == action.REGISTRATION_REQUIRED),
        (2, device is not None and device.spec.state != core.DeviceSpecState__.ACTIVE),
        (10, device is not None and device.status.is_locked),
        (3, user.spec.is_disabled),
        (7, not service.spec.is_public and session.status.type != CLIENT),
    )
    for reason, failed in checks:
        if failed:
            raise RefusalError(Answer("DENIED", reason))
    config = world.replica.cluster_config
    pins = config is not None and config.message.spec.ingress.use_forwarded_for_header
    addresses = {authentication.info.downstream.ip_address, request.client_address} - {""}
    browser = service.spec.is_public and session.status.type == CLIENTLESS
    if pins and browser and len(addresses) == 2:
        raise RefusalError(Answer("DENIED", 0))
    if session.status.scopes:
        call = None
        namespace = service.status.namespace_ref.name
        if service.status.managed_service.type == "apiserver" and namespace == "octelium-api":
            grpc = request.context().get("grpc")
            if isinstance(grpc, dict) and {"package", "service", "method"} <= set(grpc):
                call = ApiCall(grpc["package"], grpc["service"], grpc["method"])
        if not covers(session.status.scopes, service.metadata.name, namespace, call):
            raise RefusalError(Answer("DENIED", 4))


def _first(world: World, owners: list[Any], context: dict[str, Any]) -> core.PolicySpecRule | None:
    attached: list[tuple[core.PolicySpec, dict[str, Any]]] = []
    used: set[str] = set()

    def attach(names: Any, inline: Any) -> None:
        for name in names:
            labels = name.split(".")
            for start in range(len(labels)):
                ancestor = ".".join(labels[start:])
                entry = world.replica.policies_by_name.get(ancestor)
                if entry is None:
                    raise RefusalError(ERROR)
                if ancestor not in used:
                    used.add(ancestor)
                    attached.append((entry.message.spec, _attrs(entry.message.spec)))
        attached.extend((policy.spec, _attrs(policy.spec)) for policy in inline)

    # A missing Policy refuses wherever it is attached, also by a trigger that does not hold.
    for trigger in world.replica.triggers:
        for name in trigger.policies:
            labels = name.split(".")
            for start in range(len(labels)):
                if ".".join(labels[start:]) not in world.replica.policies_by_name:
                    raise RefusalError(ERROR)
    for owner in owners:
        authorization = owner.spec.authorization
        attach(authorization.policies, authorization.inline_policies)
    for trigger in world.replica.triggers:
        if (trigger.policies or trigger.inline_policies) and _triggers(
            world, trigger.pre_condition, context
        ):
            attach(trigger.policies, trigger.inline_policies)
    rules: list[tuple[core.PolicySpecRule, dict[str, Any]]] = []
    for spec, attrs in attached:
        if not spec.is_disabled and _enforced(world, spec, attrs, context):
            rules += [(rule, attrs) for rule in spec.rules]
    rules.sort(
        key=lambda pair: (pair[0].priority, pair[0].effect == core.PolicySpecRuleEffect__.ALLOW)
    )
    for rule, attrs in rules:
        if compile_condition(rule.condition).evaluate(context, attrs, now=world.now):
            return rule
    return None


def _attrs(spec: core.PolicySpec) -> dict[str, Any]:
    form = to_json(spec.attrs) if spec.HasField("attrs") else {}
    assert isinstance(form, dict)
    return form


def _triggers(world: World, condition: Any, context: dict[str, Any]) -> bool:
    form = condition.WhichOneof("type")
    match form:
        case "match_any":
            return bool(condition.match_any)
        case "condition":
            return compile_condition(condition.condition).evaluate(context, now=world.now)
        case "not_before":
            return bool(world.now >= condition.not_before.seconds)
        case "not_after":
            return bool(world.now < condition.not_after.seconds)
        case "group_ref":
            members = context.get("groups", [])
            return condition.group_ref.uid in [each["metadata"]["uid"] for each in members]
        case "session_ref" | "user_ref" | "service_ref" | "namespace_ref" | "device_ref":
            party = context.get(form.removesuffix("_ref"))
            return party is not None and party["metadata"]["uid"] == getattr(condition, form).uid
        case "any":
            return any(_triggers(world, part, context) for part in condition.any.of)
        case "all":
            parts = condition.all.of
            return bool(parts) and all(_triggers(world, part, context) for part in parts)
    return False


def _enforced(
    world: World, spec: core.PolicySpec, attrs: dict[str, Any], context: dict[str, Any]
) -> bool:
    effects = core.PolicySpecEnforcementRuleEffect__
    for effect in (effects.ENFORCE, effects.IGNORE):
        for rule in spec.enforcement_rules:
            if rule.effect == effect and compile_condition(rule.condition).evaluate(
                context, attrs, now=world.now
            ):
                return bool(effect == effects.ENFORCE)
    return True


def _config(world: World, service: core.Service, context: dict[str, Any]) -> str:
    dynamic = service.spec.dynamic_config
    named = {config.name: config for config in dynamic.configs}
    for rule in dynamic.rules:
        if not compile_condition(rule.condition).evaluate(context, now=world.now):
            continue
        if rule.WhichOneof("type") == "eval":
            computed: Any = compile_value(rule.eval).json(context, now=world.now)
            if not isinstance(computed, dict):
                raise RefusalError(ERROR)
            return f" {computed['upstream']['url']}"
        if rule.config_name in ("", "default"):
            break
        if rule.config_name not in named:
            raise RefusalError(ERROR)
        return f"{rule.config_name} {named[rule.config_name].upstream.url}"
    return f"default {service.spec.config.upstream.url}"
