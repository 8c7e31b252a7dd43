"""What a client wants of its connection: the first message of `Connect`, validated."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from octelium.schema.errors import Invalid
from octelium.schema.names import full_service_name, is_label
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from octelium.schema.references import reference_to

if TYPE_CHECKING:
    from octelium.apiserver.connect.network import Network
    from octelium.store.reading import Reader

MOST_SERVED: Final = 256
MOST_PUBLISHED: Final = 128
MOST_BYTES: Final = 64 << 10
"""A message of `Connect`. So many Services with the longest names and addresses take 40 kB."""
PORT_START: Final = 23000
"""First port for served Services, unless the client says another."""

_SSH_PORT: Final = 22022
_SOCKS5_PORT: Final = 1080
_L3_MODES = user.ConnectRequestInitializeL3Mode__
_TYPES = user.ConnectRequestInitializeConnectionType__
_Core = core.SessionStatusConnectionL3Mode__


def initialize_of(request: user.ConnectRequest) -> user.ConnectRequestInitialize:
    """The first message of a stream.

    Raises:
        Invalid: it is another one.
    """
    if request.WhichOneof("type") != "initialize":
        raise Invalid("", "the first message of Connect is not `initialize`")
    return request.initialize


def requested(
    reader: Reader, network: Network, wanted: user.ConnectRequestInitialize
) -> core.SessionStatusConnection:
    """A connection as the client asks for it, without addresses, keys and times.

    Services that do not exist, or are not shown to Users, are passed over.

    Raises:
        Invalid: something cannot be.
    """
    connection = core.SessionStatusConnection(
        l3_mode=_l3_mode(network, wanted.l3_mode),
        type=core.SessionStatusConnectionType__.WIREGUARD,
        ignore_dns=wanted.ignore_dns,
    )
    if wanted.connection_type not in (_TYPES.UNSET, _TYPES.WIREGUARD):
        raise Invalid("connectionType", "this Cluster has no tunnels by QUIC", "use WireGuard")
    if wanted.HasField("service_options"):
        _take_options(reader, wanted.service_options, connection)
    _take_published(reader, wanted, connection)
    if wanted.e_ssh_enable:
        connection.e_ssh_enable = True
        connection.e_ssh_port = _port(wanted.e_ssh_port or _SSH_PORT, "eSSHPort")
    if wanted.e_socks5_enable:
        connection.e_socks5_enable = True
        connection.e_socks5_port = _port(wanted.e_socks5_port or _SOCKS5_PORT, "eSOCKS5Port")
    return connection


def _l3_mode(
    network: Network, wanted: _L3_MODES.ConnectRequestInitializeL3Mode.ValueType
) -> _Core.SessionStatusConnectionL3Mode.ValueType:
    if wanted not in (_L3_MODES.BOTH, _L3_MODES.V4, _L3_MODES.V6):
        raise Invalid("l3Mode", f"there is no mode {wanted}", "use V4, V6 or BOTH")
    if wanted != _L3_MODES.V4 and not network.has_v6:
        raise Invalid("l3Mode", "the private network has IPv4 only", "connect with --ip-mode v4")
    if wanted != _L3_MODES.V6 and not network.has_v4:
        raise Invalid("l3Mode", "the private network has IPv6 only", "connect with --ip-mode v6")
    return _Core.SessionStatusConnectionL3Mode.ValueType(wanted)


def _take_options(
    reader: Reader,
    wanted: user.ConnectRequestInitializeServiceOptions,
    connection: core.SessionStatusConnection,
) -> None:
    path = "serviceOptions"
    if len(wanted.services) > MOST_SERVED:
        raise Invalid(f"{path}.services", f"more than {MOST_SERVED} Services are to be served")
    if wanted.label_selector:
        # Ignoring it would serve more than is wanted.
        raise Invalid(f"{path}.labelSelector", "is not supported", "name the Services")
    options = connection.service_options
    options.serve_all = wanted.serve_all
    options.port_start = _port(wanted.port_start or PORT_START, f"{path}.portStart")
    seen = set()
    for index, item in enumerate(wanted.services):
        service = _service(reader, item.name, f"{path}.services[{index}].name")
        if service is None or service.metadata.uid in seen:
            continue
        seen.add(service.metadata.uid)
        options.requested_services.add(
            service_ref=reference_to(service), namespace_ref=service.status.namespace_ref
        )


def _take_published(
    reader: Reader,
    wanted: user.ConnectRequestInitialize,
    connection: core.SessionStatusConnection,
) -> None:
    if len(wanted.published_services) > MOST_PUBLISHED:
        raise Invalid("publishedServices", f"more than {MOST_PUBLISHED} Services are published")
    for index, item in enumerate(wanted.published_services):
        path = f"publishedServices[{index}]"
        service = _service(reader, item.name, f"{path}.name")
        port = _port(item.port, f"{path}.port")
        if item.address not in ("", "localhost"):
            try:
                ipaddress.ip_address(item.address)
            except ValueError:
                raise Invalid(
                    f"{path}.address", f"{item.address[:64]!r} is no IP address", "or `localhost`"
                ) from None
        if service is not None:
            connection.published_services.add(
                service_ref=reference_to(service), port=port, address=item.address
            )


def _service(reader: Reader, given: str, path: str) -> core.Service | None:
    name = full_service_name(given)
    label, _, namespace = name.partition(".")
    if not is_label(label) or not is_label(namespace):
        raise Invalid(path, f"{given[:140]!r} is not the name of a Service")
    service = reader.peek(core.Service, name=name)
    # What is hidden is treated as what does not exist, so that nobody learns which names are taken.
    if service is None or service.metadata.is_system_hidden or service.metadata.is_user_hidden:
        return None
    return service


def _port(port: int, path: str) -> int:
    if not 0 < port < 65536:
        raise Invalid(path, f"{port} is not a port", "use 1 to 65535")
    return port
