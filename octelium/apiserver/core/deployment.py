"""What is likely wrong with how a Service is to be deployed: it can be stored, and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.policy.lint import Finding
from octelium.schema.containers import BASELINE_CAPABILITIES, refused_capabilities
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.service import configs_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def deployment_findings(resource: Any, *, has_controller: bool) -> Iterator[Finding]:
    """Settings of a Service that this Cluster cannot carry out; none of any other resource.

    `has_controller` tells whether the Cluster deploys containers.
    """
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
            yield from _container(config.upstream.container, place, has_controller=has_controller)


def _container(
    container: core.ServiceSpecConfigUpstreamContainer, path: str, *, has_controller: bool
) -> Iterator[Finding]:
    if not has_controller:
        yield Finding(
            path,
            "this Cluster has no controller that would start it, so requests get 503",
            "run the Cluster on Kubernetes, as docs/k3s.md says, or give upstream.url",
        )
    refused = refused_capabilities(list(container.security_context.capabilities.add))
    if refused:
        yield Finding(
            f"{path}.securityContext.capabilities.add",
            "it is not deployed so: the Pod Security Standard `baseline` does not allow "
            f"{', '.join(refused)}",
            f"it allows {', '.join(sorted(BASELINE_CAPABILITIES))}",
        )
