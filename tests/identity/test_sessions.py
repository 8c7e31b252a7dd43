from __future__ import annotations

import dataclasses
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity import sessions
from octelium.identity.errors import RefusedError, TooEarlyError
from octelium.identity.sessions import Beginning, Downstream
from octelium.schema.durations import seconds
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta

NOW = 1_900_000_000
HOUR = 3600
DAY = 24 * HOUR
CLIENT = core.SessionStatusType__.CLIENT
CLIENTLESS = core.SessionStatusType__.CLIENTLESS
STATES = core.SessionSpecState__
REASONS = core.AccessLogEntryCommonReasonType__
HUMAN = core.UserSpecType__.HUMAN
WORKLOAD = core.UserSpecType__.WORKLOAD


def new_user(human: bool = True) -> core.User:
    user = core.User(api_version="core/v1", kind="User")
    user.metadata.uid = str(uuid.uuid4())
    user.metadata.name = "alice"
    user.metadata.resource_version = str(uuid.uuid4())
    user.spec.type = HUMAN if human else WORKLOAD
    return user


def new_info() -> core.SessionStatusAuthenticationInfo:
    return core.SessionStatusAuthenticationInfo(
        type=core.SessionStatusAuthenticationInfoType__.CREDENTIAL
    )


def begin(
    user: core.User | None = None, config: core.ClusterConfig | None = None, **more: Any
) -> core.Session:
    beginning = Beginning(user=user or new_user(), type=CLIENT, info=new_info())
    beginning = dataclasses.replace(beginning, **more)
    return sessions.begin(beginning, config or core.ClusterConfig(), "alice-abc123", NOW)


@pytest.mark.parametrize(
    ("human", "client", "refresh", "most"),
    [(True, 21 * HOUR, 21 * HOUR, 16), (False, 90 * DAY, 14 * DAY, 128)],
)
def test_default_rules(human: bool, client: int, refresh: int, most: int) -> None:
    rules = sessions.rules(new_user(human), core.ClusterConfig())
    assert rules == sessions.Rules(
        client=client,
        clientless=client,
        access_token=4 * HOUR,
        refresh_token=refresh,
        most=most,
        state=STATES.ACTIVE,
    )


def test_the_cluster_speaks_for_one_type_of_user() -> None:
    config = core.ClusterConfig()
    config.spec.session.human.client_duration.hours = 1
    config.spec.session.human.access_token_duration.hours = 2
    config.spec.session.human.max_per_user = 3
    config.spec.session.human.default_state = STATES.PENDING
    human = sessions.rules(new_user(), config)
    assert (human.client, human.access_token, human.most) == (HOUR, 2 * HOUR, 3)
    assert human.state == STATES.PENDING
    assert human.clientless == 21 * HOUR
    assert sessions.rules(new_user(human=False), config) == sessions.rules(
        new_user(human=False), core.ClusterConfig()
    )


def test_the_user_speaks_before_the_cluster() -> None:
    config = core.ClusterConfig()
    config.spec.session.workload.clientless_duration.days = 1
    config.spec.session.workload.refresh_token_duration.days = 1
    config.spec.session.workload.max_per_user = 1
    config.spec.session.workload.default_state = STATES.PENDING
    user = new_user(human=False)
    user.spec.session.clientless_duration.days = 2
    user.spec.session.refresh_token_duration.days = 2
    user.spec.session.max_per_user = 2
    user.spec.session.default_state = STATES.ACTIVE
    rules = sessions.rules(user, config)
    assert (rules.clientless, rules.refresh_token, rules.most) == (2 * DAY, 2 * DAY, 2)
    assert rules.state == STATES.ACTIVE


def test_token_lifetimes_below_thirty_minutes_are_ignored() -> None:
    config = core.ClusterConfig()
    config.spec.session.human.access_token_duration.minutes = 30
    user = new_user()
    user.spec.session.access_token_duration.minutes = 29
    user.spec.session.refresh_token_duration.seconds = 30 * 60 - 1
    rules = sessions.rules(user, config)
    assert rules.access_token == 30 * 60
    assert rules.refresh_token == 21 * HOUR


def test_a_refresh_token_lives_as_long_as_the_access_token() -> None:
    user = new_user()
    user.spec.session.access_token_duration.days = 3
    user.spec.session.refresh_token_duration.hours = 1
    assert sessions.rules(user, core.ClusterConfig()).refresh_token == 3 * DAY


def test_no_user_has_more_than_ten_thousand_sessions() -> None:
    user = new_user()
    user.spec.session.max_per_user = 50_000
    assert sessions.rules(user, core.ClusterConfig()).most == 10_000


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("octelium-cli/0.9.0 grpc-go/1.82", CLIENT),
        ("octelium-cli", CLIENT),
        ("octelium-go grpc-go/1.82", CLIENTLESS),
        ("grpc-python/1.70 octelium-cli", CLIENTLESS),
        ("Octelium-cli/1", CLIENTLESS),
        ("", CLIENTLESS),
    ],
)
def test_type_by_user_agent(agent: str, expected: int) -> None:
    assert sessions.type_for(agent) == expected


def test_names() -> None:
    names = {sessions.new_name(new_user()) for _ in range(200)}
    assert len(names) > 195  # 31 bits are drawn: now and then two are the same
    assert all(re.fullmatch(r"alice-[a-z0-9]{6}", name) for name in names)


def downstream(
    agent: str, address: str, *, trusted: bool
) -> core.SessionStatusAuthenticationInfoDownstream:
    info = new_info()
    config = core.ClusterConfig()
    config.spec.ingress.use_forwarded_for_header = trusted
    sessions.describe_downstream(info, Downstream(agent, address), config)
    assert info.HasField("downstream")
    return info.downstream


def test_downstream() -> None:
    agent = "octelium-cli/0.9.1-rc.1 grpc-go/1.82"
    seen = downstream(agent, "2001:DB8:0::1", trusted=True)
    assert seen.user_agent == agent
    assert seen.client_version == "0.9.1-rc.1"
    assert seen.ip_address == "2001:db8::1"


def test_addresses_are_remembered_only_where_they_can_be_trusted() -> None:
    assert downstream("", "192.0.2.1", trusted=False).ip_address == ""
    assert downstream("", "not an address", trusted=True).ip_address == ""
    assert downstream("", "192.0.2.1", trusted=True).ip_address == "192.0.2.1"


def test_long_user_agents_are_not_remembered() -> None:
    assert downstream("x" * 219, "", trusted=False).user_agent
    assert not downstream("x" * 220, "", trusted=False).user_agent
    assert not downstream("Mozilla/5.0 octelium-cli/1", "", trusted=False).client_version


def test_a_new_session() -> None:
    user = new_user()
    session = begin(user)
    assert session.metadata.name == "alice-abc123"
    assert session.spec.expires_at.seconds == NOW + 21 * HOUR
    assert session.spec.state == STATES.ACTIVE
    assert not session.spec.HasField("authorization")
    status = session.status
    assert status.user_ref.uid == user.metadata.uid
    assert status.user_ref.resource_version == user.metadata.resource_version
    assert status.type == CLIENT
    assert not status.HasField("credential_ref")
    assert status.total_authentications == 1
    assert status.authentication == status.initial_authentication
    assert uuid.UUID(status.authentication.token_id).version == 4
    assert status.authentication.set_at.seconds == NOW
    assert not status.last_authentications
    assert sessions.access_expires_at(session) == NOW + 4 * HOUR
    assert sessions.refresh_expires_at(session) == NOW + 21 * HOUR


def test_the_type_chooses_the_lifetime() -> None:
    user = new_user()
    user.spec.session.client_duration.hours = 1
    user.spec.session.clientless_duration.hours = 2
    assert begin(user).spec.expires_at.seconds == NOW + HOUR
    assert begin(user, type=CLIENTLESS).spec.expires_at.seconds == NOW + 2 * HOUR


def test_the_credentials_authorization_is_copied() -> None:
    credential = core.Credential(api_version="core/v1", kind="Credential")
    credential.metadata.uid = str(uuid.uuid4())
    credential.spec.authorization.policies.append("allow-all")
    credential.spec.authorization.inline_policies.add().name = "first"
    session = begin(credential=credential)
    assert session.status.credential_ref.uid == credential.metadata.uid
    assert list(session.spec.authorization.policies) == ["allow-all"]
    assert [p.name for p in session.spec.authorization.inline_policies] == ["first"]
    credential.spec.authorization.policies.append("other")
    assert list(session.spec.authorization.policies) == ["allow-all"]


def test_renewal_replaces_the_token_id_and_nothing_else() -> None:
    session = begin()
    before = core.Session.FromString(session.SerializeToString())
    info = core.SessionStatusAuthenticationInfo(
        type=core.SessionStatusAuthenticationInfoType__.REFRESH_TOKEN
    )
    sessions.renew(session, info, NOW + 100)
    status = session.status
    assert status.authentication.token_id != before.status.authentication.token_id
    assert status.authentication.set_at.seconds == NOW + 100
    assert status.authentication.info == info
    assert list(status.last_authentications) == [before.status.authentication]
    assert status.initial_authentication == before.status.initial_authentication
    assert status.total_authentications == 2
    assert session.spec == before.spec


def test_lifetimes_are_frozen_at_the_beginning() -> None:
    session = begin()
    session.status.authentication.access_token_duration.hours = 99
    sessions.renew(session, new_info(), NOW + 100)
    assert seconds(session.status.authentication.access_token_duration) == 4 * HOUR
    assert seconds(session.status.authentication.refresh_token_duration) == 21 * HOUR


@given(st.integers(1, 130))
def test_renewals_never_repeat_a_token_id_and_keep_a_hundred(times: int) -> None:
    session = begin()
    seen = [session.status.authentication.token_id]
    for number in range(times):
        sessions.renew(session, new_info(), NOW + number)
        seen.append(session.status.authentication.token_id)
    assert len(set(seen)) == times + 1
    kept = [entry.token_id for entry in session.status.last_authentications]
    assert kept == seen[-2::-1][:100]
    assert session.status.total_authentications == times + 1


def refreshed(session: core.Session, *ages: int) -> None:
    for age in ages:
        session.status.last_authentications.add().set_at.seconds = NOW - age


def test_a_refresh_in_the_first_half_is_allowed_five_times_an_hour() -> None:
    session = begin()
    user = new_user()
    sessions.check_refresh(session, user, NOW)
    refreshed(session, 10, 20, 30, 40)
    sessions.check_refresh(session, user, NOW)
    refreshed(session, HOUR)
    sessions.check_refresh(session, user, NOW)
    refreshed(session, HOUR - 1)
    with pytest.raises(TooEarlyError):
        sessions.check_refresh(session, user, NOW)


def test_a_refresh_in_the_second_half_is_always_allowed() -> None:
    session = begin()
    later = NOW + 2 * HOUR
    for age in range(5):
        session.status.last_authentications.add().set_at.seconds = later - age - 1
    with pytest.raises(TooEarlyError):
        sessions.check_refresh(session, new_user(), later - 1)
    sessions.check_refresh(session, new_user(), later)
    sessions.check_refresh(session, new_user(), NOW + 5 * HOUR)


def test_who_may_not_refresh() -> None:
    session = begin(is_browser=True)
    with pytest.raises(RefusedError):
        sessions.check_refresh(session, new_user(), NOW)
    session = begin()
    session.status.required_authenticator_ref.CopyFrom(meta.ObjectReference(uid="x"))
    with pytest.raises(RefusedError):
        sessions.check_refresh(session, new_user(), NOW)
    disabled, locked = new_user(), new_user()
    disabled.spec.is_disabled = True
    locked.status.is_locked = True
    for user in (disabled, locked):
        with pytest.raises(RefusedError):
            sessions.check_refresh(begin(), user, NOW)


def test_a_fresh_session_is_usable() -> None:
    device = core.Device()
    device.spec.state = core.DeviceSpecState__.ACTIVE
    assert sessions.unusable_because(begin(), new_user(), None, NOW) is None
    assert sessions.unusable_because(begin(), new_user(), device, NOW) is None


def test_a_recommended_authenticator_does_not_matter() -> None:
    session = begin()
    for action in ("AUTHENTICATION_RECOMMENDED", "REGISTRATION_RECOMMENDED"):
        session.status.authenticator_action = getattr(
            core.SessionStatusAuthenticatorAction__, action
        )
        assert sessions.unusable_because(session, new_user(), None, NOW) is None


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("session.spec.state=2", REASONS.SESSION_NOT_ACTIVE),
        ("session.spec.state=3", REASONS.SESSION_NOT_ACTIVE),
        ("session.spec.state=0", REASONS.SESSION_NOT_ACTIVE),
        (f"session.spec.expires_at.seconds={NOW}", REASONS.SESSION_EXPIRED),
        (
            f"session.status.authentication.set_at.seconds={NOW - 4 * HOUR}",
            REASONS.ACCESS_TOKEN_EXPIRED,
        ),
        ("session.status.is_locked=1", REASONS.SESSION_LOCKED),
        ("user.status.is_locked=1", REASONS.USER_LOCKED),
        ("session.status.authenticator_action=1", REASONS.AUTHENTICATOR_AUTHENTICATION_REQUIRED),
        ("session.status.authenticator_action=2", REASONS.AUTHENTICATOR_REGISTRATION_REQUIRED),
        ("device.spec.state=2", REASONS.DEVICE_NOT_ACTIVE),
        ("device.spec.state=0", REASONS.DEVICE_NOT_ACTIVE),
        ("device.status.is_locked=1", REASONS.DEVICE_LOCKED),
        ("user.spec.is_disabled=1", REASONS.USER_DEACTIVATED),
    ],
)
def test_each_reason(setting: str, expected: int) -> None:
    device = core.Device()
    device.spec.state = core.DeviceSpecState__.ACTIVE
    resources = {"session": begin(), "user": new_user(), "device": device}
    path, value = setting.split("=")
    root, *steps, last = path.split(".")
    target: object = resources[root]
    for step in steps:
        target = getattr(target, step)
    field = getattr(target, last)
    setattr(target, last, type(field)(int(value)))
    session, user = resources["session"], resources["user"]
    assert isinstance(session, core.Session)
    assert isinstance(user, core.User)
    assert sessions.unusable_because(session, user, device, NOW) == expected


def test_the_first_reason_in_the_order_of_decisions_is_told() -> None:
    session, user = begin(), new_user()
    user.spec.is_disabled = True
    user.status.is_locked = True
    session.status.is_locked = True
    assert sessions.unusable_because(session, user, None, NOW) == REASONS.SESSION_LOCKED
    session.status.is_locked = False
    assert sessions.unusable_because(session, user, None, NOW) == REASONS.USER_LOCKED


def new_credential(*policies: str) -> core.Credential:
    credential = core.Credential(api_version="core/v1", kind="Credential")
    credential.metadata.name = "robot"
    credential.spec.authorization.policies.extend(policies)
    return credential


def test_a_session_without_a_label_takes_what_its_credential_has() -> None:
    session = begin(credential=new_credential("allow-all"))
    session.metadata.system_labels.clear()
    sessions.take_authorization(session, new_credential("deny-all"))
    assert list(session.spec.authorization.policies) == ["deny-all"]
    assert sessions.AUTHORIZATION_LABEL in session.metadata.system_labels


def test_a_label_of_another_encoding_refuses_nothing_that_is_unchanged() -> None:
    session = begin(credential=new_credential("allow-all"))
    session.metadata.system_labels[sessions.AUTHORIZATION_LABEL] = "of an earlier release"
    sessions.take_authorization(session, new_credential("allow-all"))
    sessions.take_authorization(session, new_credential())
    assert not session.spec.authorization.policies
