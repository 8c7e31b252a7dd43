from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from octelium.identity import credentials
from octelium.identity.attempts import Attempt, Outcome, Way
from octelium.identity.revocations import MOST, Revocations
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import Actor, reference
from tests.identity.cluster import NOW, SDK, Cluster, add_user, open_cluster
from tests.identity.providers import add_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from octelium.store.transaction import Transaction

CORE = "octelium.api.main.core.v1.MainService/"
STATES = core.SessionSpecState__


class World:
    """A Cluster whose administrator has a Session, and what was told since the last look."""

    def __init__(self, cluster: Cluster, root: core.Session, robot: core.Session) -> None:
        self.cluster = cluster
        self.root, self.robot = root, robot
        self._told: list[Attempt] = []
        cluster.resources.subscribe(Revocations(cluster.resources, self._told.append).committed)

    async def change(
        self, change: Callable[[Transaction], object], operation: str = f"{CORE}UpdateX"
    ) -> list[Attempt]:
        """What is told of a change that the administrator makes."""
        self._told.clear()
        async with self.cluster.resources.transaction(Actor(reference(self.root), operation)) as tx:
            change(tx)
        return list(self._told)

    def by_root(self, what: str) -> str:
        return f"admin (Session {self.root.metadata.name}) has {what}"


@pytest_asyncio.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    async with open_cluster(tmp_path) as cluster:
        admin = await cluster.write(lambda tx: add_user(tx, "admin"))
        sessions = []
        for user in (admin, cluster.robot):
            credential = await cluster.add_credential(user)
            issued = await cluster.authentication.with_authentication_token(
                cluster.token(credential), downstream=SDK, operation="sign-in"
            )
            sessions.append(issued.session)
        yield World(cluster, *sessions)


def deleting(message: Any) -> Callable[[Transaction], object]:
    return lambda tx: tx.delete(message.kind, message.metadata.uid)


def setting(message: Any, **spec: Any) -> Callable[[Transaction], object]:
    def change(tx: Transaction) -> object:
        stored = tx.get(message.kind, uid=message.metadata.uid)
        for name, value in spec.items():
            setattr(stored.spec, name, value)
        return tx.update(stored)

    return change


async def test_a_session_that_is_deleted(world: World) -> None:
    (told,) = await world.change(deleting(world.robot), f"{CORE}DeleteSession")
    assert (told.way, told.outcome) == (Way.ACCOUNT, Outcome.SUCCEEDED)
    assert told.reason == world.by_root(f"deleted Session {world.robot.metadata.name}")
    assert told.operation == f"{CORE}DeleteSession"
    assert told.user is not None
    assert told.session is not None
    assert (told.user.name, told.session.uid) == ("robot", world.robot.metadata.uid)


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (STATES.REJECTED, "rejected {}"),
        (STATES.PENDING, "put {} back to waiting for approval"),
    ],
)
async def test_a_session_that_changes_its_state(world: World, state: Any, what: str) -> None:
    (told,) = await world.change(setting(world.robot, state=state))
    name = f"Session {world.robot.metadata.name}"
    assert told.reason == world.by_root(what.format(name))
    (told,) = await world.change(setting(world.robot, state=STATES.ACTIVE))
    assert told.reason == world.by_root(f"approved {name}")


async def test_a_session_that_is_shortened(world: World) -> None:
    def to(seconds: int) -> Callable[[Transaction], object]:
        def change(tx: Transaction) -> object:
            stored = tx.get(core.Session, uid=world.robot.metadata.uid)
            stored.spec.expires_at.seconds = seconds
            return tx.update(stored)

        return change

    (told,) = await world.change(to(NOW + 60))
    assert told.reason == world.by_root(f"shortened Session {world.robot.metadata.name}")
    assert await world.change(to(NOW + 600)) == []


async def test_users_and_providers_that_are_disabled(world: World) -> None:
    cluster = world.cluster
    provider = await cluster.write(lambda tx: add_provider(tx, "corp"))
    for message, field in ((cluster.robot, "user"), (provider, "provider")):
        name = f"{message.kind} {message.metadata.name}"
        (told,) = await world.change(setting(message, is_disabled=True))
        assert told.reason == world.by_root(f"disabled {name}")
        about = getattr(told, field)
        assert about.uid == message.metadata.uid
        (told,) = await world.change(setting(message, is_disabled=False))
        assert told.reason == world.by_root(f"enabled {name} again")


async def test_credentials(world: World) -> None:
    cluster = world.cluster
    credential = await cluster.add_credential()
    name = f"Credential {credential.metadata.name}"

    def rotate(tx: Transaction) -> object:
        stored = tx.get(core.Credential, uid=credential.metadata.uid)
        return credentials.replace_token(tx, stored, NOW)

    (told,) = await world.change(rotate, f"{CORE}GenerateCredentialToken")
    assert told.reason == world.by_root(f"given {name} a new token, which ends earlier ones")

    def bare(tx: Transaction) -> object:
        stored = tx.get(core.Credential, uid=credential.metadata.uid)
        stored.status.ClearField("token_id")
        return tx.update(stored)

    await world.change(bare)
    (told,) = await world.change(rotate, f"{CORE}GenerateCredentialToken")
    assert told.reason == world.by_root(f"given {name} a token")
    assert told.credential is not None
    assert told.credential.uid == credential.metadata.uid
    (told,) = await world.change(deleting(credential))
    assert told.reason == world.by_root(f"deleted {name}")
    assert told.user is not None
    assert told.user.name == "robot"


async def test_devices_and_authenticators(world: World) -> None:
    def make(tx: Transaction) -> None:
        for message in (core.Device(), core.Authenticator()):
            message.metadata.name = "one"
            message.spec.state = core.DeviceSpecState__.ACTIVE
            message.status.user_ref.CopyFrom(reference(world.cluster.alice))
            tx.create(message)

    assert await world.change(make) == []
    for kind, belongings in (("Device", " and what belongs to it"), ("Authenticator", "")):
        message = world.cluster.resources.get(kind, name="one")
        (told,) = await world.change(setting(message, state=STATES.REJECTED))
        assert told.reason == world.by_root(f"rejected {kind} one")
        (told,) = await world.change(deleting(message))
        assert told.reason == world.by_root(f"deleted {kind} one{belongings}")
        assert told.user is not None
        assert told.user.name == "alice"
        assert (told.authenticator is not None) == (kind == "Authenticator")


async def test_a_user_that_is_deleted_is_one_line(world: World) -> None:
    def change(tx: Transaction) -> None:
        tx.delete("Session", world.robot.metadata.uid)
        tx.delete("User", world.cluster.robot.metadata.uid)

    (told,) = await world.change(change)
    assert told.reason == world.by_root("deleted User robot and what belongs to it")


async def test_what_people_do_themselves_is_told_elsewhere(world: World) -> None:
    assert await world.change(deleting(world.robot), "portal/account") == []


async def test_what_the_cluster_does_is_not_told(world: World) -> None:
    told: list[Attempt] = []
    world.cluster.resources.subscribe(Revocations(world.cluster.resources, told.append).committed)
    await world.cluster.write(deleting(world.robot))
    assert told == []


async def test_other_changes_are_not_told(world: World) -> None:
    assert await world.change(setting(world.cluster.robot, email="r@example.com")) == []
    assert await world.change(lambda tx: add_user(tx, "new")) == []


async def test_what_was_discarded_is_not_told(world: World) -> None:
    def change(tx: Transaction) -> None:
        tx.delete("Session", world.robot.metadata.uid)
        tx.discard()

    assert await world.change(change) == []


async def test_very_many_at_once_are_counted(world: World) -> None:
    names = [f"u-{number}" for number in range(MOST + 3)]
    users = await world.cluster.write(lambda tx: [add_user(tx, name) for name in names])

    def change(tx: Transaction) -> None:
        for user in users:
            tx.delete("User", user.metadata.uid)

    told = await world.change(change)
    assert len(told) == MOST + 1
    assert told[-1].reason.startswith("3 more at once, the first of them: admin (Session ")
    assert told[-1].user is None
