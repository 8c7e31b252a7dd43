"""Sessions: their lifetimes and limits, their beginning, their renewal, what makes them unusable.

Functions over messages; times are Unix seconds. Nothing here reads a clock or a store.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import string
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from octelium.identity.errors import RefusedError, SessionRefusedError, TooEarlyError
from octelium.schema.durations import duration, seconds
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.schema.pb import meta_v1_pb2 as meta

    SessionType: TypeAlias = core.SessionStatusType__.SessionStatusType.ValueType
    State: TypeAlias = core.SessionSpecState__.SessionSpecState.ValueType
    Reason: TypeAlias = (
        core.AccessLogEntryCommonReasonType__.AccessLogEntryCommonReasonType.ValueType
    )
    Locate: TypeAlias = Callable[[str], core.GeoIp | None]
    """Finds out where an address is. Must not raise."""

_HOUR: Final = 60 * 60
_DAY: Final = 24 * _HOUR
_SHORTEST_TOKEN: Final = 30 * 60
"""Shorter configured lifetimes of tokens are ignored."""
_MOST_SESSIONS: Final = 10_000
_KEPT_AUTHENTICATIONS: Final = 100
_REFRESHES_PER_HOUR: Final = 5
_LONGEST_USER_AGENT: Final = 219
_NAME_CHARACTERS: Final = string.ascii_lowercase + string.digits
AUTHORIZATION_LABEL: Final = "credential-authorization"
"""The system label of a Session that tells which policies its Credential had."""
_CLIENT = re.compile(r"octelium-cli/([0-9A-Za-z.+-]+)")


@dataclass(frozen=True, slots=True)
class Downstream:
    """Who asks for an authentication, as the proxy in front saw it."""

    user_agent: str = ""
    address: str = ""
    """The client's address, or empty if it is unknown."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one User's Sessions. Lifetimes are in seconds."""

    client: int
    clientless: int
    access_token: int
    refresh_token: int
    most: int
    """How many Sessions the User may have at a time."""
    state: State
    """Of new Sessions."""


def rules(user: core.User, config: core.ClusterConfig) -> Rules:
    """The User's own settings first, the Cluster's for its type next, the defaults last."""
    human = user.spec.type == core.UserSpecType__.HUMAN
    own = user.spec.session
    cluster = config.spec.session.human if human else config.spec.session.workload
    day_long = 21 * _HOUR if human else 90 * _DAY

    def length(name: str, shortest: int, otherwise: int) -> int:
        for settings in (own, cluster):
            configured: int = seconds(getattr(settings, name))
            if configured >= shortest:
                return configured
        return otherwise

    access = length("access_token_duration", _SHORTEST_TOKEN, 4 * _HOUR)
    refresh = length("refresh_token_duration", _SHORTEST_TOKEN, 21 * _HOUR if human else 14 * _DAY)
    most = own.max_per_user or cluster.max_per_user or (16 if human else 128)
    return Rules(
        client=length("client_duration", 1, day_long),
        clientless=length("clientless_duration", 1, day_long),
        access_token=access,
        refresh_token=max(access, refresh),
        most=min(most, _MOST_SESSIONS),
        state=own.default_state or cluster.default_state or core.SessionSpecState__.ACTIVE,
    )


def type_for(user_agent: str) -> SessionType:
    """The type of a Session when nothing else says: CLIENT for the command line's User-Agent."""
    if user_agent.startswith("octelium-cli"):
        return core.SessionStatusType__.CLIENT
    return core.SessionStatusType__.CLIENTLESS


def new_name(user: core.User) -> str:
    """`USER-` and six random letters and digits. Not sure to be free."""
    suffix = "".join(secrets.choice(_NAME_CHARACTERS) for _ in range(6))
    return f"{user.metadata.name}-{suffix}"


def nowhere(_address: str) -> core.GeoIp | None:
    """Knows of no address where it is."""
    return None


def describe_downstream(
    info: core.SessionStatusAuthenticationInfo,
    downstream: Downstream,
    config: core.ClusterConfig,
    locate: Locate = nowhere,
) -> None:
    """Write into `info` what may be remembered of the client.

    Its address, and where `locate` finds that to be, only if the Cluster trusts what is in front
    of it to forward addresses.
    """
    target = info.downstream
    target.SetInParent()
    if 0 < len(downstream.user_agent) <= _LONGEST_USER_AGENT:
        target.user_agent = downstream.user_agent
        if match := _CLIENT.match(downstream.user_agent):
            target.client_version = match[1]
    if config.spec.ingress.use_forwarded_for_header:
        try:
            target.ip_address = str(ipaddress.ip_address(downstream.address))
        except ValueError:
            target.ClearField("ip_address")
            return
        place = locate(target.ip_address)
        if place is not None:
            info.geoip.CopyFrom(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a new Session is made from."""

    user: core.User
    type: SessionType
    info: core.SessionStatusAuthenticationInfo
    is_browser: bool = False
    credential: core.Credential | None = None
    """Whose policies the Session carries."""
    scopes: Sequence[core.Scope] = ()


def begin(beginning: Beginning, config: core.ClusterConfig, name: str, now: int) -> core.Session:
    """A new Session, not stored yet."""
    user = beginning.user
    limits = rules(user, config)
    is_client = beginning.type == core.SessionStatusType__.CLIENT
    session = core.Session(api_version="core/v1", kind="Session")
    session.metadata.name = name

    session.spec.expires_at.seconds = now + (limits.client if is_client else limits.clientless)
    session.spec.state = limits.state

    status = session.status
    status.user_ref.CopyFrom(reference(user))
    status.type = beginning.type
    status.is_browser = beginning.is_browser
    status.scopes.extend(beginning.scopes)
    if (credential := beginning.credential) is not None:
        status.credential_ref.CopyFrom(reference(credential))
        take_authorization(session, credential)
    status.authentication.CopyFrom(
        _authentication(
            beginning.info, duration(limits.access_token), duration(limits.refresh_token), now
        )
    )
    status.initial_authentication.CopyFrom(status.authentication)
    status.total_authentications = 1
    return session


def take_authorization(session: core.Session, giver: core.Credential | core.Session) -> None:
    """Give `session` the policies that its Credential, or the Session that let it in, has.

    So that what was taken away from a Credential does not live on in renewed Sessions. What was
    changed on the Session itself since stays, as long as the Credential's policies are the same; a
    system label remembers what they were.

    Raises:
        SessionRefusedError: both were changed; either choice might revive what was revoked.
    """
    given = giver.spec.authorization
    wanted = core.SessionSpecAuthorization(
        policies=given.policies, inline_policies=given.inline_policies
    )
    labels, current = session.metadata.system_labels, session.spec.authorization
    known, offered = labels.get(AUTHORIZATION_LABEL), _digest(wanted)
    if known == offered:
        return
    if current != wanted:
        if known is not None and _digest(current) != known:
            raise SessionRefusedError(
                f"the policies of Session {session.metadata.name} and those of {giver.kind} "
                f"{giver.metadata.name} were both changed; delete the Session to begin another"
            )
        session.spec.authorization.CopyFrom(wanted)
    labels[AUTHORIZATION_LABEL] = offered


def _digest(authorization: core.SessionSpecAuthorization) -> str:
    return hashlib.sha256(authorization.SerializeToString(deterministic=True)).hexdigest()[:32]


def _authentication(
    info: core.SessionStatusAuthenticationInfo,
    access: meta.Duration,
    refresh: meta.Duration,
    now: int,
) -> core.SessionStatusAuthentication:
    result = core.SessionStatusAuthentication(
        info=info,
        token_id=str(uuid.uuid4()),
        access_token_duration=access,
        refresh_token_duration=refresh,
    )
    result.set_at.seconds = now
    return result


def renew(session: core.Session, info: core.SessionStatusAuthenticationInfo, now: int) -> None:
    """Authenticate `session` again: every token that it had is dead from here on.

    The lifetimes are those of its first authentication, and the Session's end stays where it was.
    """
    status = session.status
    initial = status.initial_authentication
    earlier = [status.authentication, *status.last_authentications][:_KEPT_AUTHENTICATIONS]
    kept = [core.SessionStatusAuthentication.FromString(a.SerializeToString()) for a in earlier]
    del status.last_authentications[:]
    status.last_authentications.extend(kept)
    status.authentication.CopyFrom(
        _authentication(info, initial.access_token_duration, initial.refresh_token_duration, now)
    )
    status.total_authentications += 1


def access_expires_at(session: core.Session) -> int:
    """When the current access token ends."""
    current = session.status.authentication
    return current.set_at.seconds + seconds(current.access_token_duration)


def refresh_expires_at(session: core.Session) -> int:
    """When the current refresh token ends."""
    current = session.status.authentication
    return current.set_at.seconds + seconds(current.refresh_token_duration)


def is_over(session: core.Session, now: float) -> bool:
    """Whether the Session has ended for good."""
    return session.spec.expires_at.seconds <= now


def is_user_barred(user: core.User) -> bool:
    """Whether the User may hold no usable Session at all."""
    return user.spec.is_disabled or user.status.is_locked


def check_refresh(session: core.Session, user: core.User, now: int) -> None:
    """Whether a genuine refresh token may renew its Session now, as `check_pace` has it.

    Raises:
        RefusedError: the Session is renewed in another way, or its User is barred.
        TooEarlyError: it is to keep its tokens.
    """
    status = session.status
    if status.is_browser:
        raise RefusedError("a browser's Session is renewed by signing in again")
    if status.HasField("required_authenticator_ref"):
        raise RefusedError("this Session is renewed with its Authenticator")
    if is_user_barred(user):
        raise RefusedError("the User is disabled or locked")
    check_pace(session, now)


def check_pace(session: core.Session, now: int) -> None:
    """Whether a Session may be authenticated again now.

    Any time in the second half of the access token's life; before it only while fewer than five
    earlier authentications lie within the last hour.

    Raises:
        TooEarlyError: it is to keep its tokens.
    """
    status = session.status
    current = status.authentication
    if now - current.set_at.seconds >= seconds(current.access_token_duration) / 2:
        return
    recent = sum(a.set_at.seconds > now - _HOUR for a in status.last_authentications)
    if recent >= _REFRESHES_PER_HOUR:
        raise TooEarlyError("the Session was renewed too often within the last hour")


def unusable_because(
    session: core.Session, user: core.User, device: core.Device | None, now: float
) -> Reason | None:
    """The first reason why `session` may do nothing, in the order of decisions; `None` if it may.

    The reasons are those of access-log entries. Scopes and policies are not asked.
    """
    reasons = core.AccessLogEntryCommonReasonType__
    actions = core.SessionStatusAuthenticatorAction__
    status = session.status
    checks = (
        (session.spec.state != core.SessionSpecState__.ACTIVE, reasons.SESSION_NOT_ACTIVE),
        (is_over(session, now), reasons.SESSION_EXPIRED),
        (access_expires_at(session) <= now, reasons.ACCESS_TOKEN_EXPIRED),
        (status.is_locked, reasons.SESSION_LOCKED),
        (user.status.is_locked, reasons.USER_LOCKED),
        (
            status.authenticator_action == actions.AUTHENTICATION_REQUIRED,
            reasons.AUTHENTICATOR_AUTHENTICATION_REQUIRED,
        ),
        (
            status.authenticator_action == actions.REGISTRATION_REQUIRED,
            reasons.AUTHENTICATOR_REGISTRATION_REQUIRED,
        ),
        (
            device is not None and device.spec.state != core.DeviceSpecState__.ACTIVE,
            reasons.DEVICE_NOT_ACTIVE,
        ),
        (device is not None and device.status.is_locked, reasons.DEVICE_LOCKED),
        (user.spec.is_disabled, reasons.USER_DEACTIVATED),
    )
    return next((reason for fails, reason in checks if fails), None)
