"""The containers that Services have as upstreams: where each is now, or why it is not there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from octelium.schema.containers import BEGINNING, NO_CONTROLLER
from octelium.schema.modes import HTTP_MODES
from octelium.schema.names import DEFAULT_NAMESPACE
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.errors import Absence, NotReady, not_offered
from octelium.vigil.origins import client_certificate_secret

if TYPE_CHECKING:
    from octelium.replica.replica import Replica

_MODES: Final = core.ServiceSpecMode__
_DATAGRAMS: Final = frozenset({_MODES.UDP, _MODES.DNS})
_word = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}").fullmatch

Place = tuple[str, int]
"""An IP address and a port."""


class Containers:
    """Where the containers of Services are, as the replica knows from the controller.

    `is_managed` tells whether the Cluster has a controller at all.
    """

    def __init__(self, replica: Replica, *, is_managed: bool) -> None:
        self._replica = replica
        self._is_managed = is_managed
        self._known = dict(replica.containers)

    def url(self, service: core.Service, config: core.ServiceSpecConfig) -> str:
        """The URL of a configuration's container, by the Service's mode.

        Raises:
            NotReady: nothing can be sent to it now.
            Unserviceable: nobody has deployed it.
        """
        name = _declared_by(service.spec, config)
        if name is None:
            raise not_offered("a container in a computed configuration")
        found = self._replica.containers.get((service.metadata.uid, name))
        if found is None or not found.ready or not found.address:
            if not self._is_managed:
                raise NotReady(Absence.UNMANAGED)
            reason = "" if found is None else found.reason
            if reason in BEGINNING:
                raise NotReady(Absence.STARTING)
            if reason == NO_CONTROLLER:
                raise NotReady(Absence.ABANDONED)
            raise NotReady(Absence.FAILING, reason if _word(reason) else "")
        host = f"[{found.address}]" if ":" in found.address else found.address
        return f"{_scheme(service.spec.mode, config)}://{host}:{found.port}"

    def hindered(self, service_uid: str) -> str:
        """What keeps a change of a ready container from being there, in a word; else empty."""
        for (uid, _), one in sorted(self._replica.containers.items()):
            if uid == service_uid and one.ready and one.reason not in BEGINNING:
                return one.reason if _word(one.reason) else "it does not come up"
        return ""

    def ready(self) -> set[tuple[str, Place]]:
        """Where containers can be reached, each with its Service's uid."""
        return {
            (uid, (one.address, one.port))
            for (uid, _), one in self._replica.containers.items()
            if one.ready
        }

    def moved(self) -> dict[str, set[Place]]:
        """The Services whose containers are not as they were when this was asked last, by uid.

        With each are the places that its containers have left.
        """
        before, now = self._known, self._replica.containers
        self._known = dict(now)
        found: dict[str, set[Place]] = {}
        for key in before.keys() | now.keys():
            old, new = before.get(key), now.get(key)
            if old != new:
                left = found.setdefault(key[0], set())
                if old is not None and (
                    new is None or (old.address, old.port) != (new.address, new.port)
                ):
                    left.add((old.address, old.port))
        return found


def _scheme(mode: int, config: core.ServiceSpecConfig) -> str:
    """A container has no URL to say it in: TLS is spoken where the configuration has settings."""
    if mode in HTTP_MODES:
        secure = config.HasField("tls") or bool(client_certificate_secret(config))
        return "https" if secure else "http"
    return "udp" if mode in _DATAGRAMS else "tcp"


def _declared_by(spec: core.ServiceSpec, config: core.ServiceSpecConfig) -> str | None:
    """The name of the configuration that declares the container of an effective one.

    Empty for the Service's own; None if no configuration does, and so nobody has deployed it. One
    that inherits has its parent's container, or its own laid over it.
    """
    wanted = config.upstream.container
    declared = {
        _key(each): each
        for each in (spec.config, *spec.dynamic_config.configs)
        if each.upstream.HasField("container")
    }
    own = declared.get(_key(config))
    if own is not None and wanted in (own.upstream.container, _over_parent(own, declared)):
        return _key(own)
    for name, each in declared.items():
        if each.upstream.container == wanted:
            return name
    return None


def _over_parent(
    config: core.ServiceSpecConfig, declared: dict[str, core.ServiceSpecConfig]
) -> core.ServiceSpecConfigUpstreamContainer | None:
    """A configuration's container as decisions select it: over that of its parent."""
    name = "" if config.parent == DEFAULT_NAMESPACE else config.parent
    parent = declared.get(name) if config.parent else None
    if parent is None:
        return None
    merged = core.ServiceSpecConfigUpstreamContainer()
    merged.CopyFrom(parent.upstream.container)
    merged.MergeFrom(config.upstream.container)
    return merged


def _key(config: core.ServiceSpecConfig) -> str:
    return "" if config.name == DEFAULT_NAMESPACE else config.name
