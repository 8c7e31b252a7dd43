from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.identity import credential_logins, credentials
from octelium.identity.errors import CredentialUnusableError, RefusedError
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import (
    ACCESS_TOKEN,
    CLI,
    NOW,
    add_config,
    add_credential,
    add_user,
    located,
    lone_transaction,
)

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

CLIENT = core.SessionStatusType__.CLIENT
ELSEWHERE = Downstream("curl/8", "192.0.2.77")


@pytest.fixture(name="tx")
def tx_fixture() -> Transaction:
    tx = lone_transaction()
    config = add_config(tx)
    config.spec.ingress.use_forwarded_for_header = True
    tx.update(config)
    return tx


def test_who_may_hold_sessions(tx: Transaction) -> None:
    robot = add_user(tx, "robot")
    credential_logins.check_user(robot)
    credential_logins.check_workload(robot)
    with pytest.raises(RefusedError, match="no WORKLOAD"):
        credential_logins.check_workload(add_user(tx, "ann", human=True))
    robot.status.is_locked = True
    with pytest.raises(RefusedError, match="disabled or locked"):
        credential_logins.check_user(robot)


def test_begun_and_renewed(tx: Transaction) -> None:
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, policies=["a"])
    session = credential_logins.begin(tx, credential, robot, CLIENT, (), CLI, located, NOW)
    assert session.status.authentication.info.geoip.country.code == "NL"
    assert list(session.spec.authorization.policies) == ["a"]
    info = credentials.info_of(credential)
    again = credential_logins.renew(tx, session, credential, info, ELSEWHERE, located, NOW + 60)
    assert again.metadata.uid == session.metadata.uid
    current = again.status.authentication
    assert current.set_at.seconds == NOW + 60
    assert current.info.downstream.ip_address == ELSEWHERE.address
    assert not current.info.HasField("geoip")
    assert tx.count(core.Session) == 1


def test_the_session_of_an_access_token(tx: Transaction) -> None:
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, ACCESS_TOKEN)
    first = credential_logins.session_for_access_token(tx, credential, NOW)
    credential = tx.get(core.Credential, uid=credential.metadata.uid)
    second = credential_logins.session_for_access_token(tx, credential, NOW + 1)
    assert first.metadata.uid == second.metadata.uid
    # Whoever generates the token is not who will use it.
    assert not second.status.authentication.info.downstream.ip_address
    human = add_credential(tx, add_user(tx, "ann", human=True), ACCESS_TOKEN)
    with pytest.raises(CredentialUnusableError, match="no WORKLOAD"):
        credential_logins.session_for_access_token(tx, human, NOW)
