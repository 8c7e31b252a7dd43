"""`SetServiceConfigs`: what programs on a connected host need to reach a Service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from octelium.store.reading import Reader

_MODES = core.SessionStatusConnectionL3Mode__
_L3 = user.SetServiceConfigsResponseL3Mode__
_CONTEXT = "kubernetes-admin@kubernetes"
_CLUSTER = "kubernetes"
_USER = "kubernetes-admin"
_TOKEN = "octelium"  # noqa: S105 - the tunnel says who asks; kubectl only wants that there is one


def service_configs(
    reader: Reader, session: core.Session, service: core.Service
) -> user.SetServiceConfigsResponse:
    """Where a Service is for this Session, and a configuration for modes whose clients have one.

    A Service of mode KUBERNETES has a kubeconfig. Those of mode SSH will have the keys of the
    Cluster's SSH CA, which does not exist yet.

    Raises:
        Invalid: the Session is not connected, or the Service has no address.
    """
    if not session.status.HasField("connection"):
        raise Invalid("", "this Session is not connected", "connect first")
    connection = session.status.connection
    host, port = _place(reader, connection, service)
    reply = user.SetServiceConfigsResponse(
        host=host,
        port=port,
        l3_mode=_L3.SetServiceConfigsResponseL3Mode.ValueType(connection.l3_mode),
    )
    if service.spec.mode == core.ServiceSpecMode__.KUBERNETES:
        scheme = "https" if service.spec.is_tls else "http"
        reply.configs.add().kubeconfig.content = _kubeconfig(f"{scheme}://{_literal(host)}:{port}")
    return reply


def _place(
    reader: Reader, connection: core.SessionStatusConnection, service: core.Service
) -> tuple[str, int]:
    for published in connection.published_services:
        if published.service_ref.uid == service.metadata.uid:
            return published.address or "localhost", published.port
    if not connection.ignore_dns:
        config = reader.get(core.ClusterConfig, name="default")
        name = service.status.primary_hostname or service.metadata.name
        return f"{name}.local.{config.status.domain}", service.status.port
    for address in service.status.addresses:
        both = address.dual_stack_ip
        host = both.ipv4 if connection.l3_mode == _MODES.V4 else both.ipv6 or both.ipv4
        if host:
            return host, service.status.port
    raise Invalid("name", f"Service {service.metadata.name} has no address in the tunnel")


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _kubeconfig(server: str) -> bytes:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _CLUSTER, "cluster": {"server": server}}],
        "users": [{"name": _USER, "user": {"token": _TOKEN}}],
        "contexts": [{"name": _CONTEXT, "context": {"cluster": _CLUSTER, "user": _USER}}],
        "current-context": _CONTEXT,
    }
    return yaml.safe_dump(content, sort_keys=False).encode()
