"""A Cluster with one HUMAN and one WORKLOAD, as the tests of authentication want it."""

from __future__ import annotations

import uuid
from typing import Any

from octelium.identity import credentials, keys
from octelium.identity.authentication import Authentication
from octelium.identity.references import reference
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.memory import Clock, MemoryStore

CLI = Downstream("octelium-cli/0.9.0 grpc-go/1.82", "192.0.2.1")
SDK = Downstream("grpc-python/1.70", "192.0.2.1")
TYPES = core.CredentialSpecType__
AUTH_TOKEN, OAUTH2, ACCESS_TOKEN = TYPES.AUTH_TOKEN, TYPES.OAUTH2, TYPES.ACCESS_TOKEN


class Cluster:
    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.keyring = keys.Keyring(clock=self.clock)
        keys.rotate(self.store.tx, self.clock())
        self.keyring.replace(self.store.tx.list("Secret"))
        self.authentication = Authentication(self.store, self.keyring, clock=self.clock)
        config = core.ClusterConfig(api_version="core/v1", kind="ClusterConfig")
        config.metadata.name = "default"
        self.store.tx.create(config)
        self.alice = self.add_user("alice", core.UserSpecType__.HUMAN)
        self.robot = self.add_user("robot", core.UserSpecType__.WORKLOAD)

    def add_user(self, name: str, user_type: Any) -> core.User:
        user = core.User(api_version="core/v1", kind="User")
        user.metadata.name = name
        user.spec.type = user_type
        user.status.SetInParent()
        created: core.User = self.store.tx.create(user)
        return created

    def add_credential(
        self, user: core.User | None = None, credential_type: Any = AUTH_TOKEN, **spec: Any
    ) -> core.Credential:
        user = user or self.robot
        credential = core.Credential(api_version="core/v1", kind="Credential")
        credential.metadata.name = f"cred-{len(self.store.resources)}"
        credential.spec.type = credential_type
        credential.spec.user = user.metadata.name
        for field, value in spec.items():
            if field == "expires_at":
                credential.spec.expires_at.seconds = value
            else:
                setattr(credential.spec, field, value)
        credential.status.user_ref.CopyFrom(reference(user))
        credential.status.id = f"c{uuid.uuid4().hex[:3]}-{uuid.uuid4().hex[:4]}"
        credential.status.token_id = str(uuid.uuid4())
        created: core.Credential = self.store.tx.create(credential)
        return created

    def token(self, credential: core.Credential) -> str:
        return credentials.token_of(self.keyring.signer, credential)

    def change(self, message: Any) -> Any:
        """Store a changed message, whatever has been stored since it was read."""
        stored = self.get(message)
        message.metadata.resource_version = stored.metadata.resource_version
        return self.store.tx.update(message)

    def get(self, message: Any) -> Any:
        found = self.store.tx.find(message.kind, uid=message.metadata.uid)
        assert found is not None
        return found

    def sessions(self, user: core.User | None = None) -> list[core.Session]:
        return [
            session
            for session in self.store.tx.list("Session")
            if user is None or session.status.user_ref.uid == user.metadata.uid
        ]
