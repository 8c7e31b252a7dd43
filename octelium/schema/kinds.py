"""The kinds of resources: one entry each, with everything that is known of the kind as such."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from octelium.schema.errors import Invalid
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import invitation_v1_pb2 as invitation
from octelium.schema.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource.

    `message` and `list_message` are its protobuf classes (a singleton has no list).
    `apply_order` sorts the kinds of one
    apply so that what is referred to comes before what refers to it. `has_data` marks kinds whose
    payload stands in `data` and is never returned. `creatable` kinds have a Create method;
    `declarable` ones may stand in files; a `singleton` has exactly one object, `default`;
    `internal` kinds are never part of the public API.
    """

    name: str
    plural: str
    aliases: tuple[str, ...]
    message: type[Any]
    list_message: type[Any] | None
    apply_order: int
    api: str = "core/v1"
    has_data: bool = False
    creatable: bool = True
    declarable: bool = True
    singleton: bool = False
    internal: bool = False

    @property
    def command(self) -> str:
        """The word for this kind on command lines, such as `identityprovider`."""
        return self.name.lower()


_ALL = (
    Kind("Secret", "secrets", ("sec",), core.Secret, core.SecretList, apply_order=0, has_data=True),
    Kind(
        "Config",
        "configs",
        ("cfg", "conf"),
        core.Config,
        core.ConfigList,
        apply_order=1,
        has_data=True,
    ),
    Kind("Policy", "policies", ("pol",), core.Policy, core.PolicyList, apply_order=2),
    Kind(
        "IdentityProvider",
        "identityproviders",
        ("idp", "idps"),
        core.IdentityProvider,
        core.IdentityProviderList,
        apply_order=3,
    ),
    Kind("Namespace", "namespaces", ("ns",), core.Namespace, core.NamespaceList, apply_order=4),
    Kind("Group", "groups", ("grp",), core.Group, core.GroupList, apply_order=5),
    Kind("User", "users", ("usr",), core.User, core.UserList, apply_order=6),
    Kind("Service", "services", ("svc", "svcs"), core.Service, core.ServiceList, apply_order=7),
    Kind(
        "Credential",
        "credentials",
        ("cred", "creds"),
        core.Credential,
        core.CredentialList,
        apply_order=8,
    ),
    Kind(
        "ClusterConfig",
        "clusterconfigs",
        ("cc", "clustercfg", "cluster-config"),
        core.ClusterConfig,
        None,
        apply_order=9,
        creatable=False,
        singleton=True,
    ),
    Kind(
        "Device",
        "devices",
        ("dev",),
        core.Device,
        core.DeviceList,
        apply_order=10,
        creatable=False,
        declarable=False,
    ),
    Kind(
        "Authenticator",
        "authenticators",
        ("authn", "authen"),
        core.Authenticator,
        core.AuthenticatorList,
        apply_order=11,
        creatable=False,
        declarable=False,
    ),
    Kind(
        "Session",
        "sessions",
        ("sess",),
        core.Session,
        core.SessionList,
        apply_order=12,
        creatable=False,
        declarable=False,
    ),
    Kind(
        "Gateway",
        "gateways",
        ("gw", "gws"),
        core.Gateway,
        core.GatewayList,
        apply_order=13,
        creatable=False,
        declarable=False,
    ),
    Kind(
        "Region",
        "regions",
        ("rgn",),
        core.Region,
        core.RegionList,
        apply_order=14,
        creatable=False,
        declarable=False,
    ),
    Kind(
        "PolicyTrigger",
        "policytriggers",
        (),
        core.PolicyTrigger,
        core.PolicyTriggerList,
        apply_order=15,
        creatable=False,
        declarable=False,
        internal=True,
    ),
    Kind(
        "Invitation",
        "invitations",
        (),
        invitation.Invitation,
        None,
        apply_order=16,
        api="invitation/v1",
        creatable=False,
        declarable=False,
        internal=True,
    ),
    Kind(
        "ContainerState",
        "containerstates",
        (),
        container.ContainerState,
        None,
        apply_order=17,
        api="container/v1",
        creatable=False,
        declarable=False,
        internal=True,
    ),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Every kind by its name."""

APPLY_ORDER: tuple[Kind, ...] = tuple(sorted(_ALL, key=lambda kind: kind.apply_order))
"""Every kind, those that others refer to first."""

_BY_MESSAGE = {kind.message.DESCRIPTOR.full_name: kind for kind in _ALL}
_BY_WORD = {
    word: kind
    for kind in _ALL
    if not kind.internal
    for word in (kind.command, kind.plural, *kind.aliases)
}


def kind_of(message: Message) -> Kind:
    """The kind of a resource. Raises KeyError for a message that is no resource."""
    return _BY_MESSAGE[message.DESCRIPTOR.full_name]


def find_kind(word: str) -> Kind:
    """The kind that a word of a command line means: its name, plural or an alias, in any case.

    Raises Invalid, with the closest known word, when there is none.
    """
    kind = _BY_WORD.get(word.lower())
    if kind is None:
        known = ", ".join(sorted(kind.command for kind in _ALL if not kind.internal))
        remedy = did_you_mean(word, _BY_WORD, otherwise=f"known kinds: {known}")
        raise Invalid("", f"unknown kind {word!r}", remedy)
    return kind


def new(kind: Kind) -> Any:
    """An empty resource of a kind, with `apiVersion` and `kind` set."""
    return kind.message(api_version=kind.api, kind=kind.name)
