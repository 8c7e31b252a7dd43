"""Moves against a refusal that is no matter of rules: the step that fails tells what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.explain.attachment import detach, disable
from octelium.octovigil.explain.moves import (
    OTHERS,
    RULE,
    STATE,
    USER,
    Move,
    add_item,
    come_as,
    named,
    remove_item,
    send,
    set_field,
    stamp,
    unset_field,
)
from octelium.octovigil.received import in_one_reading
from octelium.policy.decision import Outcome, ReasonType
from octelium.schema.jsonform import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.octovigil.explain.trace import Trace
    from octelium.replica.replica import Entry

_DAY: Final = 24 * 3600.0
_AUTHENTICATION: Final = ("status", "authentication")
_MAX_SESSIONS: Final = 24
"""Sessions that are thought of as a stranger's."""


def remedies(told: Trace) -> list[Move]:
    """Moves after which the failing step of `told` may pass, the best first."""
    if told.outcome is Outcome.UNAUTHENTICATED:
        return list(_identities(told))
    if told.outcome is Outcome.BAD_REQUEST:
        return list(_single_readings(told))
    if told.outcome is Outcome.ERROR:
        return list(_mendings(told))
    remedy = _BY_REASON.get(told.reason)
    if remedy is not None:
        return list(remedy(told))
    return list(_addresses(told)) if told.reason is ReasonType.TYPE_UNKNOWN_REASON else []


def _identities(told: Trace) -> Iterator[Move]:
    supposition = told.supposition
    session = supposition.session
    if session is not None and session.expires_at <= supposition.now:
        until = stamp(supposition.now + _DAY)
        text = f"extend {named(session)} until {until}"
        yield set_field(session, ("spec", "expiresAt"), until, text, STATE)
    replica = supposition.replica
    asked = [
        entry
        for entry in replica.sessions.values()
        if entry.uid != supposition.session_uid and entry.expires_at > supposition.now
    ]
    for entry in asked[:_MAX_SESSIONS]:
        user = replica.users.get(entry.user_uid)
        if user is not None:
            yield come_as(entry, user.name)


def _single_readings(told: Trace) -> Iterator[Move]:
    request = told.supposition.request or {}
    for path in sorted(told.supposition.repeated):
        value: Any = request
        depth = 0
        while depth < len(path) and isinstance(value, dict):
            value = value.get(path[depth])
            depth += 1
        where = path[:depth]
        if where[-1:] in (("path",), ("uri",)):
            value = in_one_reading(value) if isinstance(value, str) else "/"
        yield send(where, value)


def _mendings(told: Trace) -> Iterator[Move]:
    """Against a decision that fails before or beside its rules."""
    service = told.parties.service
    if told.missing is not None and told.missing_owner is not None:
        yield from _references(*told.missing, told.missing_owner)
        if told.missing[0] == "User":
            yield from _identities(told)
    elif service.is_disabled:
        yield unset_field(service, ("spec", "isDisabled"), f"enable {named(service)}", OTHERS)
    elif told.failing is not None:
        policy = told.failing
        if policy.trigger is not None and told.failed_by_trigger:
            source = policy.trigger.source
            text = f"disable {named(source)}"
            yield set_field(source, ("status", "isDisabled"), True, text, RULE)
        yield from detach(policy)
        yield from disable(policy)
    elif told.failing_config >= 0:
        rules = to_json(service.message.spec.dynamic_config)["rules"]
        number = told.failing_config + 1
        text = f"remove rule {number} of the dynamic configuration of {named(service)}"
        path = ("spec", "dynamicConfig", "rules")
        yield remove_item(service, path, rules[told.failing_config], text, RULE)
        yield unset_field(
            service,
            ("spec", "dynamicConfig"),
            f"remove the dynamic configuration of {named(service)}",
            RULE,
        )


def _references(kind: str, name: str, _holder: str, owner: Entry[Any]) -> Iterator[Move]:
    """Against the name of something that does not exist."""
    if kind == "Group":
        text = f"remove User {owner.name} from Group {name}, which does not exist"
        yield remove_item(owner, ("spec", "groups"), name, text, USER)
    elif kind == "Device":
        text = f"release {named(owner)} from its Device, which does not exist"
        yield unset_field(owner, ("status", "deviceRef"), text, STATE)
    elif kind == "Policy":
        is_trigger = owner.kind == "PolicyTrigger"
        path = ("status",) if is_trigger else ("spec", "authorization")
        part = owner.message.status if is_trigger else owner.message.spec.authorization
        # Those that have it as their ancestor need it as well.
        moves = [
            remove_item(
                owner,
                (*path, "policies"),
                attached,
                f"detach Policy {attached} from {named(owner)}",
                RULE,
            )
            for attached in part.policies
            if attached == name or attached.endswith(f".{name}")
        ]
        edits = tuple(edit for move in moves for edit in move.edits)
        yield Move(edits, RULE * len(edits))


def _activate(told: Trace) -> Iterator[Move]:
    session = told.parties.session
    if session is not None:
        text = f"activate {named(session)}"
        yield set_field(session, ("spec", "state"), "ACTIVE", text, STATE)


def _renew(told: Trace) -> Iterator[Move]:
    session = told.parties.session
    if session is not None:
        text = f"renew {named(session)}: its client gets a new access token"
        moment = stamp(told.supposition.now)
        begun = set_field(session, (*_AUTHENTICATION, "setAt"), moment, text, STATE)
        path = (*_AUTHENTICATION, "accessTokenDuration")
        lasting = set_field(session, path, {"hours": 1}, text, STATE)
        yield begun
        yield Move((*begun.edits, *lasting.edits), begun.cost + lasting.cost)


def _unlock(part: str) -> Callable[[Trace], Iterator[Move]]:
    def unlock(told: Trace) -> Iterator[Move]:
        entry = getattr(told.parties, part)
        yield unset_field(entry, ("status", "isLocked"), f"unlock {named(entry)}", STATE)

    return unlock


def _authenticate(told: Trace) -> Iterator[Move]:
    session = told.parties.session
    if session is not None:
        registers = told.reason is ReasonType.AUTHENTICATOR_REGISTRATION_REQUIRED
        what = "register an authenticator" if registers else "use an authenticator"
        path = ("status", "authenticatorAction")
        yield unset_field(session, path, f"{what} in {named(session)}", STATE)


def _device(told: Trace) -> Iterator[Move]:
    device = told.parties.device
    if device is not None:
        text = f"activate {named(device)}"
        yield set_field(device, ("spec", "state"), "ACTIVE", text, STATE)


def _enable(told: Trace) -> Iterator[Move]:
    user = told.parties.user
    if user is not None:
        yield unset_field(user, ("spec", "isDisabled"), f"enable {named(user)}", USER)


def _reach(told: Trace) -> Iterator[Move]:
    session, service = told.parties.session, told.parties.service
    if session is not None:
        text = f"connect with `octelium connect`: {named(session)} would be of type CLIENT"
        yield set_field(session, ("status", "type"), "CLIENT", text, STATE)
    text = f"make {named(service)} public"
    yield set_field(service, ("spec", "isPublic"), True, text, OTHERS)


def _scope(told: Trace) -> Iterator[Move]:
    session, service = told.parties.session, told.parties.service
    if session is not None:
        namespace = service.namespace_name
        name = service.name.removesuffix(f".{namespace}")
        scope = {"service": {"filter": {"names": [name], "namespaces": [namespace]}}}
        text = f"use a Session whose scopes include service:{name}.{namespace}"
        yield add_item(session, ("status", "scopes"), scope, text, STATE)


def _addresses(told: Trace) -> Iterator[Move]:
    session = told.parties.session
    if session is not None and session.client_address:
        yield send(("ip",), session.client_address)


_BY_REASON: Final[dict[ReasonType, Callable[[Trace], Iterator[Move]]]] = {
    ReasonType.SESSION_NOT_ACTIVE: _activate,
    ReasonType.SESSION_EXPIRED: _identities,
    ReasonType.ACCESS_TOKEN_EXPIRED: _renew,
    ReasonType.SESSION_LOCKED: _unlock("session"),
    ReasonType.USER_LOCKED: _unlock("user"),
    ReasonType.AUTHENTICATOR_AUTHENTICATION_REQUIRED: _authenticate,
    ReasonType.AUTHENTICATOR_REGISTRATION_REQUIRED: _authenticate,
    ReasonType.DEVICE_NOT_ACTIVE: _device,
    ReasonType.DEVICE_LOCKED: _unlock("device"),
    ReasonType.USER_DEACTIVATED: _enable,
    ReasonType.SESSION_CLIENT_TYPE_INVALID: _reach,
    ReasonType.SCOPE_UNAUTHORIZED: _scope,
}
