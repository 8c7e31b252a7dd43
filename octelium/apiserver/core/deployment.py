"""What is likely wrong with how a Service is to be deployed: it can be stored, and does nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from octelium.policy.lint import Finding
from octelium.schema.containers import BASELINE_CAPABILITIES, refused_capabilities
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.service import configs_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class ControllerHealth(NamedTuple):
    """What deploys the containers of a Cluster, as the Cluster knows it."""

    is_configured: bool
    silent_since: float = 0.0
    """Unix seconds; 0 while it is heard."""


NOT_CONFIGURED: Final = ControllerHealth(is_configured=False)
"""Of a Cluster that deploys nothing."""
AskController = Callable[[], ControllerHealth]
"""How it is now."""


def deployment_findings(resource: Any, controller: ControllerHealth) -> Iterator[Finding]:
    """Settings of a Service that this Cluster cannot carry out; none of any other resource."""
    if not isinstance(resource, core.Service):
        return
    if resource.spec.deployment.replicas > 1:
        yield Finding(
            "spec.deployment.replicas",
            "has no effect: every worker of the Cluster serves every Service",
            "leave it out; a container has replicas of its own, upstream.container.replicas",
        )
    for config, path in configs_of(resource.spec):
        if config.upstream.HasField("container"):
            place = f"{path}.upstream.container"
            yield from _container(config.upstream.container, place, controller)


def _container(
    container: core.ServiceSpecConfigUpstreamContainer, path: str, controller: ControllerHealth
) -> Iterator[Finding]:
    if not controller.is_configured:
        yield Finding(
            path,
            "this Cluster has no controller that would start it, so requests get 503",
            "run the Cluster on Kubernetes, as docs/k3s.md says, or give upstream.url",
        )
    elif controller.silent_since:
        since = dt.datetime.fromtimestamp(controller.silent_since, dt.UTC)
        yield Finding(
            path,
            f"the controller is not connected since {since:%Y-%m-%d %H:%M:%S} UTC, so nothing "
            "deploys this now: what runs goes on as it is",
            "it is deployed once the controller is back: octeliumctl doctor",
        )
    refused = refused_capabilities(list(container.security_context.capabilities.add))
    if refused:
        yield Finding(
            f"{path}.securityContext.capabilities.add",
            f"the Pod Security Standard `baseline` does not allow {', '.join(refused)}: no Pod is "
            "made of this, and what was deployed before goes on",
            f"it allows {', '.join(sorted(BASELINE_CAPABILITIES))}",
        )
