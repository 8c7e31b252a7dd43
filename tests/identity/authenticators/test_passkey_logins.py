from __future__ import annotations

from octelium.identity.authenticators import passkey_logins
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference
from tests.identity.cluster import add_user, lone_transaction
from tests.peers.timing import calls

OFF = core.ClusterConfig()
ON = core.ClusterConfig()
ON.spec.authenticator.enable_passkey_login = True


def authenticator(name: str, user: core.User) -> core.Authenticator:
    made = core.Authenticator()
    made.metadata.name = name
    made.status.user_ref.CopyFrom(reference(user))
    return made


def test_the_configuration_allows_all() -> None:
    tx = lone_transaction()
    made = authenticator("fido-a", add_user(tx, "ann", human=True))
    assert passkey_logins.is_offered(tx, ON)
    assert passkey_logins.is_allowed(made, ON)
    assert not passkey_logins.is_offered(tx, OFF)
    assert not passkey_logins.is_allowed(made, OFF)


def test_without_it_those_that_were_allowed_and_what_follows_them() -> None:
    tx = lone_transaction()
    ann, ben = add_user(tx, "ann", human=True), add_user(tx, "ben", human=True)
    first = authenticator("fido-a", ann)
    passkey_logins.allow(first)
    first = tx.create(first)
    assert passkey_logins.is_offered(tx, OFF)
    assert passkey_logins.is_allowed(first, OFF)
    for user, allowed in ((ann, True), (ben, False)):
        made = authenticator("fido-b", user)
        passkey_logins.follow(tx, made)
        assert passkey_logins.is_allowed(made, OFF) == allowed
    tx.delete(core.Authenticator, first.metadata.uid)
    assert not passkey_logins.is_offered(tx, OFF)


def test_the_login_page_does_not_look_at_each_of_many() -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)

    def add(numbers: range) -> None:
        for number in numbers:
            made = authenticator(f"fido-{number:05}", ann)
            passkey_logins.allow(made)
            tx.create(made)

    def cost() -> int:
        assert passkey_logins.is_offered(tx, OFF)
        return calls(lambda: passkey_logins.is_offered(tx, OFF))

    add(range(1))
    of_one = cost()
    add(range(1, 2_000))
    assert cost() == of_one
