"""What a container must not have, looked at once more before anything is made of it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, NoReturn

from octelium.controller.objects.outcome import Problem
from octelium.schema.containers import refused_capabilities
from octelium.schema.errors import Invalid
from octelium.schema.images import carried, registry_host, registry_of
from octelium.schema.validation.rules import Validator, check

if TYPE_CHECKING:
    from octelium.controller.objects.settings import Settings
    from octelium.schema.pb import core_v1_pb2 as core


def faults_of(
    container: core.ServiceSpecConfigUpstreamContainer, settings: Settings
) -> list[Problem]:
    """Why a container is not deployed, whatever the API server of Kubernetes would say.

    The rules of `apply` hold here too: what is stored may be older than they are. Capabilities
    beyond the Pod Security Standard `baseline` can be stored, and are not given.
    """
    try:
        check(container, "container", _VALIDATOR)
    except Invalid as fault:
        return [Problem("Invalid", str(fault))]
    beyond = refused_capabilities(list(container.security_context.capabilities.add))
    if beyond:
        return [
            Problem(
                "Refused",
                f"the Pod Security Standard baseline lets no container add {', '.join(beyond)}: "
                "remove it from securityContext.capabilities.add",
            )
        ]
    login = container.credentials.username_password
    for server in (registry_of(container.image), login.server):
        if _lies_in(registry_host(server), settings.no_registries):
            return [
                Problem(
                    "Refused",
                    f"the registry {server!r} has an address that Kubernetes gives its Services: "
                    "use one outside of it",
                )
            ]
    return []


def _lies_in(host: str, networks: tuple[str, ...]) -> bool:
    try:
        address = carried(ip_address(host))
    except ValueError:
        return False
    return any(address in ip_network(network) for network in networks)


class _NoExpressions:
    """A container holds no expressions."""

    def check_condition(self, *_: object) -> NoReturn:
        raise TypeError("a container holds no expressions")

    check_cel = check_groups = check_rego = check_condition


_VALIDATOR: Final = Validator(view=None, expressions=_NoExpressions(), now=0)
