"""How Kubernetes asks whether a container lives and is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octelium.controller.managed import Managed
    from octelium.controller.objects.outcome import Manifest
    from octelium.schema.pb import core_v1_pb2 as core


def probes_of(managed: Managed) -> Manifest:
    """The probes of a container.

    One of TCP without a readinessProbe is ready when its port takes connections: nobody is sent to
    a program that is still starting.
    """
    container = managed.container
    probes: Manifest = {}
    if container.HasField("liveness_probe"):
        probes["livenessProbe"] = _probe(container.liveness_probe)
    if container.HasField("readiness_probe"):
        probes["readinessProbe"] = _probe(container.readiness_probe)
    elif managed.protocol == "TCP":
        probes["readinessProbe"] = {
            "tcpSocket": {"port": container.port},
            "timeoutSeconds": 1,
            "periodSeconds": 5,
            "successThreshold": 1,
            "failureThreshold": 3,
        }
    return probes


def _probe(probe: core.ServiceSpecConfigUpstreamContainerProbe) -> Manifest:
    """A probe with every value that the API server would else fill in.

    What it fills in belongs to nobody, and would stay when the handler becomes another.
    """
    made: Manifest = _handler(probe)
    if probe.initial_delay_seconds:
        made["initialDelaySeconds"] = probe.initial_delay_seconds
    return {
        **made,
        "timeoutSeconds": probe.timeout_seconds or 1,
        "periodSeconds": probe.period_seconds or 10,
        "successThreshold": probe.success_threshold or 1,
        "failureThreshold": probe.failure_threshold or 3,
    }


def _handler(probe: core.ServiceSpecConfigUpstreamContainerProbe) -> Manifest:
    match probe.WhichOneof("type"):
        case "http_get":
            path = probe.http_get.path or "/"
            return {"httpGet": {"path": path, "port": probe.http_get.port, "scheme": "HTTP"}}
        case "grpc":
            return {"grpc": {"port": probe.grpc.port, "service": ""}}
        case _:
            return {"tcpSocket": {"port": probe.tcp_socket.port}}
