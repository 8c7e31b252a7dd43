"""Resources, changes and sockets as small as they can be."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from octelium.store.resources import Resources


def named(name: str) -> meta.Metadata:
    return meta.Metadata(name=name)


def service(name: str, *secrets: str) -> core.Service:
    """A Service that names one Secret, or one in each of several configurations."""
    message = core.Service(metadata=named(name))
    message.spec.config.upstream.url = "http://127.0.0.1:80"
    for index, secret_name in enumerate(secrets):
        config = message.spec.dynamic_config.configs.add(name=f"config-{index}")
        config.http.auth.bearer.from_secret = secret_name
    return message


def contained(name: str, *secrets: str) -> core.Service:
    """A Service with a container, whose environment names Secrets."""
    message = core.Service(metadata=named(name))
    message.spec.config.upstream.container.image = "example/image"
    message.spec.config.upstream.container.port = 80
    for secret_name in secrets:
        message.spec.config.upstream.container.env.add(name="X", from_secret=secret_name)
    return message


def container_state(service_uid: str, *containers: container.Container) -> container.ContainerState:
    """How the containers of a Service are."""
    message = container.ContainerState(metadata=named(service_uid))
    message.status.containers.extend(containers)
    return message


def secret(name: str, value: str = "hunter2") -> core.Secret:
    return core.Secret(metadata=named(name), data=core.SecretData(value=value))


def signing_secret(name: str = "sys:root-secret-abcdefgh") -> tuple[core.Secret, Ed25519PrivateKey]:
    key = Ed25519PrivateKey.generate()
    message = core.Secret(metadata=named(name))
    message.metadata.is_system_hidden = True
    message.metadata.system_labels["octelium-root-secret"] = "true"
    message.data.value_bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return message, key


def session(name: str, *, authentications: int = 0) -> core.Session:
    message = core.Session(metadata=named(name))
    message.spec.state = core.SessionSpecState__.ACTIVE
    for index in range(authentications):
        message.status.last_authentications.add(token_id=f"former-{index}")
    return message


def change(message: Message, uid: str) -> feed.Change:
    kind, name = message.DESCRIPTOR.name, message.metadata.name  # type: ignore[attr-defined]  # a resource
    return feed.Change(kind=kind, uid=uid, name=name, data=message.SerializeToString())


def deletion(kind: str, uid: str) -> feed.Change:
    return feed.Change(kind=kind, uid=uid, deleted=True)


def commit(revision: int, *changes: feed.Change) -> feed.Commit:
    return feed.Commit(revision=revision, changes=changes)


def snapshot(revision: int, *changes: feed.Change) -> feed.Commit:
    return feed.Commit(revision=revision, changes=changes, snapshot_begin=True, snapshot_end=True)


async def put(resources: Resources, *messages: Message) -> list[str]:
    """Create resources in one transaction and return their uids."""
    async with resources.transaction() as tx:
        return [tx.create(message).metadata.uid for message in messages]  # type: ignore[attr-defined]  # resources


@contextlib.contextmanager
def socket_path() -> Iterator[Path]:
    """A path short enough for a Unix socket, wherever tests keep their files."""
    with tempfile.TemporaryDirectory(prefix="oct-") as folder:
        yield Path(folder) / "feed.sock"


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(64)
    return listener
