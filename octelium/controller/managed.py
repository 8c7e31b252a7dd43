"""What the controller is asked for: the containers that Services have as their upstreams."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from octelium.schema.containers import MAX_OF_SERVICE, container_secrets, containers_of
from octelium.schema.names import full_service_name
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Mapping

Protocol = Literal["TCP", "UDP"]
Key = tuple[str, str]
"""A Service's uid and the name of its config."""

_MODE = core.ServiceSpecMode__
_UDP = frozenset({_MODE.UDP, _MODE.DNS})


@dataclass(frozen=True, slots=True)
class Opened:
    """A Secret of the Cluster, opened."""

    uid: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Managed:
    """One container that a Service asks for.

    `service` is the full name, such as `web.default`; `config` is the name of the dynamic config
    and empty for `spec.config`. `secrets` holds, by name, those that the container refers to; one
    that does not exist is absent.
    """

    service_uid: str
    service: str
    config: str
    protocol: Protocol
    container: core.ServiceSpecConfigUpstreamContainer
    secrets: Mapping[str, Opened]

    @property
    def key(self) -> Key:
        """What names it within the Cluster."""
        return self.service_uid, self.config


def managed_of(service: core.Service, secrets: Mapping[str, Opened]) -> tuple[Managed, ...]:
    """The containers of a Service, that of its own config first, and `MAX_OF_SERVICE` at most.

    A container gets those of `secrets` that it names, and no others. It is a copy: of what is
    returned, nothing keeps the rest of the Service in memory.
    """
    protocol: Protocol = "UDP" if service.spec.mode in _UDP else "TCP"
    return tuple(
        Managed(
            service_uid=service.metadata.uid,
            service=full_service_name(service.metadata.name),
            config=config,
            protocol=protocol,
            container=_copied(container),
            secrets=_named(container, secrets),
        )
        for config, container in islice(containers_of(service.spec), MAX_OF_SERVICE)
    )


def with_secrets(managed: Managed, secrets: Mapping[str, Opened]) -> Managed:
    """The same container with other Secrets of the Cluster."""
    return replace(managed, secrets=_named(managed.container, secrets))


def _named(
    container: core.ServiceSpecConfigUpstreamContainer, secrets: Mapping[str, Opened]
) -> dict[str, Opened]:
    return {name: secrets[name] for name in container_secrets(container) if name in secrets}


def _copied(
    container: core.ServiceSpecConfigUpstreamContainer,
) -> core.ServiceSpecConfigUpstreamContainer:
    made = core.ServiceSpecConfigUpstreamContainer()
    made.CopyFrom(container)
    return made
