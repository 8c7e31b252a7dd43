"""A Cluster with one HUMAN and one WORKLOAD, as the tests of authentication want it."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from octelium.identity import credentials, keys
from octelium.identity.authentication import Authentication
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import SYSTEM, reference
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.state import State
from octelium.store.transaction import Transaction
from octelium.store.vault import Vault
from tests.identity.providers import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from octelium.identity.attempts import Attempt

NOW = 1_900_000_000
CLI = Downstream("octelium-cli/0.9.0 grpc-go/1.82", "192.0.2.1")
SDK = Downstream("grpc-python/1.70", "192.0.2.1")
TYPES = core.CredentialSpecType__
AUTH_TOKEN, OAUTH2, ACCESS_TOKEN = TYPES.AUTH_TOKEN, TYPES.OAUTH2, TYPES.ACCESS_TOKEN

T = TypeVar("T")


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def lone_transaction() -> Transaction:
    """A transaction on an empty store. It sees what it wrote; there is nothing to commit it."""
    return Transaction(State(), Vault([bytes(32)]), SYSTEM, NOW)


def add_config(tx: Transaction) -> core.ClusterConfig:
    config = core.ClusterConfig()
    config.metadata.name = "default"
    config.status.domain = "example.com"
    return tx.create(config)


def add_user(tx: Transaction, name: str, *, human: bool = False) -> core.User:
    user = core.User()
    user.metadata.name = name
    types = core.UserSpecType__
    user.spec.type = types.HUMAN if human else types.WORKLOAD
    return tx.create(user)


def add_credential(
    tx: Transaction, user: core.User, credential_type: Any = AUTH_TOKEN, **spec: Any
) -> core.Credential:
    credential = core.Credential()
    unique = uuid.uuid4().hex
    credential.metadata.name = f"cred-{unique}"
    credential.spec.type = credential_type
    credential.spec.user = user.metadata.name
    for field, value in spec.items():
        if field == "expires_at":
            credential.spec.expires_at.seconds = value
        elif field == "policies":
            credential.spec.authorization.policies.extend(value)
        elif field == "code_challenge":
            credential.status.pkce.code_challenge = value
        else:
            setattr(credential.spec, field, value)
    credential.status.user_ref.CopyFrom(reference(user))
    credential.status.id = f"c{unique[:8]}-{unique[8:16]}"
    credential.status.token_id = str(uuid.uuid4())
    return tx.create(credential)


def located(address: str) -> core.GeoIp | None:
    """Knows where one address is."""
    if address != CLI.address:
        return None
    return core.GeoIp(ip=address, country=core.GeoIpCountry(code="NL"))


class Enforcement:
    """Wants of every Session what `wanted` says; keeps whom it was asked about."""

    def __init__(self) -> None:
        self.wanted: Any = core.SessionStatusAuthenticatorAction__.AUTHENTICATOR_ACTION_UNSET
        self.asked: list[core.Session] = []

    def action(
        self,
        tx: Transaction,
        config: core.ClusterConfig,
        user: core.User,
        provider: core.IdentityProvider,
        session: core.Session,
    ) -> Any:
        assert config == tx.get(core.ClusterConfig, name="default")
        assert user.metadata.uid == session.status.user_ref.uid
        assert provider.status.type
        self.asked.append(session)
        return self.wanted


class AttemptLog:
    """Keeps every attempt."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def record(self, attempt: Attempt) -> None:
        self.attempts.append(replace(attempt))

    def last(self) -> Attempt:
        """The one attempt since the last call."""
        (attempt,) = self.attempts
        self.attempts.clear()
        return attempt


class Cluster:
    """On a store of its own; `open_cluster` makes one."""

    def __init__(self, resources: Resources, clock: Clock) -> None:
        self.resources = resources
        self.clock = clock
        self.keyring = keys.Keyring(clock=clock)
        self.keyring.follow(resources)
        self.rules = Rules()
        self.enforcement = Enforcement()
        self.log = AttemptLog()
        self.authentication = Authentication(
            resources,
            self.keyring,
            clock=clock,
            rules=self.rules,
            enforcement=self.enforcement,
            locate=located,
            log=self.log,
        )
        self.alice: core.User
        self.robot: core.User

    async def begin(self) -> None:
        async with self.resources.transaction() as tx:
            keys.rotate(tx, self.clock())
            add_config(tx)
            self.alice = add_user(tx, "alice", human=True)
            self.robot = add_user(tx, "robot")

    async def write(self, change: Callable[[Transaction], T]) -> T:
        async with self.resources.transaction() as tx:
            return change(tx)

    async def add_credential(
        self, user: core.User | None = None, credential_type: Any = AUTH_TOKEN, **spec: Any
    ) -> core.Credential:
        owner = user or self.robot
        return await self.write(lambda tx: add_credential(tx, owner, credential_type, **spec))

    def token(self, credential: core.Credential) -> str:
        return credentials.token_of(self.keyring.signer, credential)

    async def generate(self, credential: core.Credential) -> core.CredentialToken:
        """What GenerateCredentialToken answers."""
        uid = credential.metadata.uid
        return await self.write(
            lambda tx: self.authentication.generate_token(tx, tx.get(core.Credential, uid=uid))
        )

    async def change(self, message: Any) -> Any:
        """Store a changed message, whatever has been stored since it was read."""

        def replace(tx: Transaction) -> Any:
            stored = tx.get(message.kind, uid=message.metadata.uid)
            message.metadata.resource_version = stored.metadata.resource_version
            return tx.update(message)

        return await self.write(replace)

    async def delete(self, message: Any) -> None:
        await self.write(lambda tx: tx.delete(message.kind, message.metadata.uid))

    def get(self, message: Any) -> Any:
        return self.resources.get(message.kind, uid=message.metadata.uid)

    def sessions(self) -> list[core.Session]:
        return self.resources.list(core.Session, whole=True)


@asynccontextmanager
async def open_cluster(directory: Path) -> AsyncIterator[Cluster]:
    clock = Clock()
    store = await SqliteStore.open(directory)
    try:
        resources = Resources(store, Vault([bytes(range(32))]), clock)
        await resources.load()
        cluster = Cluster(resources, clock)
        await cluster.begin()
        yield cluster
    finally:
        await store.close()
