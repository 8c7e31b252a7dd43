"""From the host that a client names to the public Service that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.http.message import MessageError
from octelium.http.target import normalise
from octelium.schema.names import public_hosts

if TYPE_CHECKING:
    from octelium.replica.replica import Replica, ServiceEntry

_API_LABEL: Final = "octelium-apiserver"
_PATH_LABEL: Final = "apiserver-path"
_API_HOST: Final = "octelium-api"


class Routes:
    """The public Services of a replica by host name.

    A Service `name.ns` answers `name.ns.<domain>` and the shorter forms without `default`. The
    Cluster's API Services share `octelium-api.<domain>`, by the path prefixes in their system
    label, and answer under no name of their own.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._hosts: dict[bytes, ServiceEntry] = {}
        self._parents: dict[bytes, ServiceEntry] = {}
        """Managed Services that answer for every name below theirs."""
        self._paths: list[tuple[bytes, ServiceEntry]] = []
        self._api_host = b""
        self._stale = True
        replica.listeners.append(self._changed)

    def close(self) -> None:
        """Stop following the replica."""
        self._replica.listeners.remove(self._changed)

    @property
    def api_host(self) -> bytes:
        """The host name of the API; empty while the domain is unknown."""
        if self._stale:
            self._rebuild()
        return self._api_host

    def find(self, host: bytes, target: bytes) -> ServiceEntry | None:
        """The Service that a request to a host is for, None if there is none."""
        if self._stale:
            self._rebuild()
        entry = self._hosts.get(host)
        if entry is not None:
            return entry
        if host == self._api_host and host:
            return self._find_api(target)
        if self._parents:
            return self._parents.get(host.partition(b".")[2])
        return None

    def _find_api(self, target: bytes) -> ServiceEntry | None:
        """By the longest prefix. Only targets that are in their one form already: one that
        changes on the way could begin with the prefix of another Service.
        """
        try:
            if normalise(target).wire != target:
                return None
        except MessageError:
            return None
        for prefix, entry in self._paths:
            if target.startswith(prefix) and target[len(prefix) : len(prefix) + 1] in b"./":
                return entry
        return None

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        if any(kind in {"Service", "ClusterConfig"} for kind, _ in changed):
            self._stale = True

    def _rebuild(self) -> None:
        self._stale = False
        self._hosts = {}
        self._parents = {}
        self._paths = []
        config = self._replica.cluster_config
        domain = config.domain if config is not None else ""
        self._api_host = f"{_API_HOST}.{domain}".encode() if domain else b""
        if not domain:
            return
        for entry in self._replica.services.values():
            if not entry.is_public:
                continue
            labels = entry.message.metadata.system_labels
            if labels.get(_API_LABEL) == "true":
                self._paths += [
                    (prefix.encode(), entry)
                    for part in labels.get(_PATH_LABEL, "").split(",")
                    if (prefix := part.strip()).startswith("/")
                ]
                continue
            parent = entry.message.status.managed_service.has_subdomain
            for host in public_hosts(entry.name, domain):
                self._hosts[host.encode()] = entry
                if parent:
                    self._parents[host.encode()] = entry
        self._hosts.pop(self._api_host, None)
        self._paths.sort(key=lambda one: len(one[0]), reverse=True)
