"""One class per kind: wire bytes, and beside them the fields that requests read, taken out once.

An entry never changes. A change of the resource puts another entry in its place, so the identity
of an entry, or its `version`, can key whatever was computed from it.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from google.protobuf.message import Message

from octelium.replica.addresses import Packed, hosts
from octelium.schema.durations import milliseconds
from octelium.schema.jsonform import to_json
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

M = TypeVar("M", bound=Message)

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
"""What verifies tokens."""

_VERSIONS = itertools.count(1)
_CERTIFICATE_LABEL = "octelium-cert"
_UPSTREAM_MODE = core.SessionStatusConnectionUpstreamMode__
_L3_MODE = core.SessionStatusConnectionL3Mode__
_FAMILIES: dict[int, tuple[int, ...]] = {
    _L3_MODE.BOTH: (16, 4),
    _L3_MODE.V4: (4,),
    _L3_MODE.V6: (16,),
}
"""Bytes of the addresses that a connection's mode has, in the order of preference."""


class Entry(Generic[M]):
    """One version of one resource.

    `version` is unique in this process and greater than that of any earlier entry. `message` is
    parsed when first asked for and shared: it must not be written to. It takes several times as
    much memory as `data`, so what every request asks for is taken out beforehand.
    `has_authorization` tells whether the spec has that part; `resource_version` is that of the
    metadata.
    """

    __slots__ = (
        "_json",
        "_message",
        "data",
        "has_authorization",
        "name",
        "resource_version",
        "uid",
        "version",
    )

    kind: ClassVar[str]
    message_class: ClassVar[type[Any]]
    _may_authorize: ClassVar[bool] = False
    """Whether resources of this kind may have Policies of their own."""

    def __init_subclass__(cls) -> None:
        spec = cls.message_class.DESCRIPTOR.fields_by_name.get("spec")
        cls._may_authorize = (
            spec is not None and "authorization" in spec.message_type.fields_by_name
        )

    def __init__(self, uid: str, name: str, data: bytes) -> None:
        """Raises google.protobuf.message.DecodeError for bytes that are no such resource."""
        self.uid = uid
        self.name = name
        self.data = data
        self.version = next(_VERSIONS)
        self._message: M | None = None
        self._json: dict[str, Any] | None = None
        message = self.message_class.FromString(data)
        self.has_authorization = self._may_authorize and message.spec.HasField("authorization")
        self.resource_version: str = message.metadata.resource_version
        self._index(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.uid} version {self.version}>"

    def _index(self, message: Any) -> None:
        """Take out of a message what requests read. The message itself is not kept."""

    @property
    def message(self) -> M:
        """The resource, save for the part that is stored apart."""
        if self._message is None:
            self._message = self.message_class.FromString(self.data)
        return self._message

    def parsed(self) -> M:
        """The resource as `message`, but not kept where nobody has asked for that yet."""
        return self.message_class.FromString(self.data) if self._message is None else self._message

    @property
    def json(self) -> dict[str, Any]:
        """The JSON form of the whole resource, as conditions see it; shared, not to be changed."""
        if self._json is None:
            self._json = to_json(self._whole())
        return self._json

    def _whole(self) -> Message:
        return self.parsed()


class NamespaceEntry(Entry[core.Namespace]):
    """A Namespace."""

    __slots__ = ()
    kind = "Namespace"
    message_class = core.Namespace


class RegionEntry(Entry[core.Region]):
    """A Region."""

    __slots__ = ()
    kind = "Region"
    message_class = core.Region


class GroupEntry(Entry[core.Group]):
    """A Group."""

    __slots__ = ()
    kind = "Group"
    message_class = core.Group


class ServiceEntry(Entry[core.Service]):
    """A Service. `managed_type` is empty unless a component of the Cluster stands behind it.

    `addresses` are those by which tunnels reach it, packed, and `port` is the one at all of them.
    """

    __slots__ = (
        "addresses",
        "claimed_at",
        "enable_anonymous",
        "is_anonymous",
        "is_disabled",
        "is_public",
        "is_tls",
        "managed_type",
        "mode",
        "namespace_name",
        "namespace_uid",
        "port",
    )
    kind = "Service"
    message_class = core.Service

    def _index(self, message: core.Service) -> None:
        spec, status = message.spec, message.status
        self.mode = int(spec.mode)
        self.is_public = spec.is_public
        self.is_disabled = spec.is_disabled
        self.is_anonymous = spec.is_anonymous
        self.enable_anonymous = spec.authorization.enable_anonymous
        self.is_tls = spec.is_tls
        self.managed_type = status.managed_service.type
        self.namespace_uid = status.namespace_ref.uid
        self.namespace_name = status.namespace_ref.name
        self.port = int(status.port)
        self.claimed_at = _seconds(message.metadata.created_at)
        self.addresses: tuple[Packed, ...] = hosts(
            f"Service {self.name}",
            (
                address
                for one in status.addresses
                for address in (one.dual_stack_ip.ipv4, one.dual_stack_ip.ipv6)
            ),
        )


class UserEntry(Entry[core.User]):
    """A User. `groups` are names, in the order of the User's spec."""

    __slots__ = ("groups", "is_disabled", "is_locked", "type")
    kind = "User"
    message_class = core.User

    def _index(self, message: core.User) -> None:
        self.type = int(message.spec.type)
        self.is_disabled = message.spec.is_disabled
        self.is_locked = message.status.is_locked
        self.groups = tuple(message.spec.groups)


class DeviceEntry(Entry[core.Device]):
    """A Device."""

    __slots__ = ("is_active", "is_locked", "state", "user_uid")
    kind = "Device"
    message_class = core.Device

    def _index(self, message: core.Device) -> None:
        self.state = int(message.spec.state)
        self.is_active = message.spec.state == core.DeviceSpecState__.ACTIVE
        self.is_locked = message.status.is_locked
        self.user_uid = message.status.user_ref.uid


class SessionEntry(Entry[core.Session]):
    """A Session. Instants are unix seconds; one that is not set lies in the past.

    `token_id` is the id of the current authentication, `access_expires_at` when its access token
    ends. `device_uid` is empty for a Session without a Device. `past` holds the lists of former
    authentications and connections, packed; they are part of `json` only.

    `addresses` are those of its tunnel, packed, `reachable` those among them by which its client
    can be reached, IPv6 first; both are empty unless it is connected. `serves` tells the port at
    which the client serves a Service, by the Service's uid and the number of its transport.
    """

    __slots__ = (
        "access_expires_at",
        "addresses",
        "authenticator_action",
        "claimed_at",
        "client_address",
        "device_uid",
        "expires_at",
        "is_active",
        "is_locked",
        "past",
        "reachable",
        "scopes",
        "serves",
        "state",
        "token_id",
        "type",
        "user_uid",
    )
    kind = "Session"
    message_class = core.Session

    def __init__(self, uid: str, name: str, data: bytes, past: bytes | None = None) -> None:
        self.past = past
        super().__init__(uid, name, data)

    def _index(self, message: core.Session) -> None:
        spec, status = message.spec, message.status
        authentication = status.authentication
        self.state = int(spec.state)
        self.is_active = spec.state == core.SessionSpecState__.ACTIVE
        self.expires_at = _seconds(spec.expires_at)
        self.type = int(status.type)
        self.user_uid = status.user_ref.uid
        self.device_uid = status.device_ref.uid
        self.is_locked = status.is_locked
        self.authenticator_action = int(status.authenticator_action)
        self.scopes: Sequence[core.Scope] = tuple(status.scopes)
        self.token_id = authentication.token_id
        self.client_address = authentication.info.downstream.ip_address
        self.access_expires_at = (
            _seconds(authentication.set_at)
            + milliseconds(authentication.access_token_duration) / 1000
        )
        self._index_connection(status)

    def _index_connection(self, status: core.SessionStatus) -> None:
        connection = status.connection
        self.claimed_at = _seconds(connection.started_at)
        self.addresses: tuple[Packed, ...] = ()
        self.reachable: tuple[Packed, ...] = ()
        self.serves: dict[tuple[str, int], int] = {}
        if not status.is_connected:
            return
        self.addresses = hosts(
            f"Session {self.name}",
            (address for one in connection.addresses for address in (one.v4, one.v6)),
        )
        lengths = _FAMILIES.get(int(connection.l3_mode), ())
        self.reachable = tuple(
            address for size in lengths for address in self.addresses if len(address) == size
        )
        for upstream in connection.upstreams:
            if upstream.mode != _UPSTREAM_MODE.ESSH and 0 < upstream.port < 65536:
                key = (upstream.service_ref.uid, int(upstream.l4_type))
                self.serves.setdefault(key, int(upstream.port))

    def _whole(self) -> Message:
        if self.past is None:
            return self.parsed()
        whole = core.Session.FromString(self.data)
        part = PARTS[self.kind]
        part.give(whole, part.unpack(self.past))
        return whole


class PolicyEntry(Entry[core.Policy]):
    """A Policy. `lineage` are the names of it and its ancestors: `("c.b.a", "b.a", "a")`."""

    __slots__ = ("is_disabled", "lineage")
    kind = "Policy"
    message_class = core.Policy

    def _index(self, message: core.Policy) -> None:
        self.is_disabled = message.spec.is_disabled
        labels = self.name.split(".")
        self.lineage = tuple(".".join(labels[start:]) for start in range(len(labels)))


class PolicyTriggerEntry(Entry[core.PolicyTrigger]):
    """A PolicyTrigger."""

    __slots__ = ("is_disabled",)
    kind = "PolicyTrigger"
    message_class = core.PolicyTrigger

    def _index(self, message: core.PolicyTrigger) -> None:
        self.is_disabled = message.status.is_disabled


class ClusterConfigEntry(Entry[core.ClusterConfig]):
    """The ClusterConfig."""

    __slots__ = ("domain", "use_forwarded_for_header", "xff_num_trusted_hops")
    kind = "ClusterConfig"
    message_class = core.ClusterConfig

    def _index(self, message: core.ClusterConfig) -> None:
        self.domain = message.status.domain
        self.use_forwarded_for_header = message.spec.ingress.use_forwarded_for_header
        self.xff_num_trusted_hops = message.spec.ingress.xff_num_trusted_hops


def is_system(secret: core.Secret) -> bool:
    """Whether a Secret is the Cluster's own."""
    return secret.metadata.is_system or secret.metadata.is_system_hidden


def is_certificate(secret: core.Secret) -> bool:
    """Whether a Secret is a certificate that the Cluster installed; its name alone says nothing."""
    return is_system(secret) and secret.metadata.system_labels.get(_CERTIFICATE_LABEL) == "true"


class SecretEntry(Entry[core.Secret]):
    """A Secret, opened. `value` is the secret itself, `chain` what stands in `spec.data`.

    One that `is_system` belongs to the Cluster: no Service may get its value. Of these,
    `is_certificate` tells the certificates of the front door.
    """

    __slots__ = ("chain", "is_certificate", "is_system", "value")
    kind = "Secret"
    message_class = core.Secret

    def _index(self, message: core.Secret) -> None:
        self.is_system = is_system(message)
        self.is_certificate = is_certificate(message)
        self.value = _value(message.data)
        self.chain = _value(message.spec.data)


@dataclass(frozen=True, slots=True)
class ContainerEntry:
    """Where a container of a Service is reached, as the controller last told.

    `address` is an IP address and `port` the one at it; `""` and 0 while there is none. Nothing may
    be sent there unless it is `ready`; `reason` is one word on why it is not.
    """

    address: str
    port: int
    ready: bool
    reason: str


class ContainerStateEntry(Entry[container.ContainerState]):
    """How the containers of one Service are, by the names of their configs; `""` for its own."""

    __slots__ = ("containers",)
    kind = "ContainerState"
    message_class = container.ContainerState

    def _index(self, message: container.ContainerState) -> None:
        self.containers = {
            one.config: ContainerEntry(one.address, int(one.port), one.ready, one.reason)
            for one in message.status.containers
        }

    @property
    def service_uid(self) -> str:
        """The uid of the Service."""
        return self.name


class VerificationKeyEntry:
    """The public half of a signing key; `key_id` is the uid of its Secret as 16 bytes."""

    __slots__ = ("data", "key_id", "name", "public_key", "uid", "version")
    kind: ClassVar[str] = "VerificationKey"

    def __init__(self, uid: str, name: str, data: bytes) -> None:
        """`data` is a SubjectPublicKeyInfo (RFC 5280 §4.1). Raises ValueError for anything else."""
        public_key = load_der_public_key(data)
        if not isinstance(public_key, Ed25519PublicKey | EllipticCurvePublicKey):
            raise ValueError(f"key {uid} is neither Ed25519 nor elliptic-curve")  # noqa: TRY004
        self.uid = uid
        self.name = name
        self.data = data
        self.version = next(_VERSIONS)
        self.key_id = uuid.UUID(uid).bytes
        self.public_key: PublicKey = public_key


def _seconds(instant: Timestamp) -> float:
    return instant.seconds + instant.nanos / 1e9


def _value(data: core.SecretData | core.SecretSpecData) -> bytes:
    return data.value_bytes if data.WhichOneof("type") == "value_bytes" else data.value.encode()
