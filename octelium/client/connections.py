"""How each Cluster is reached, remembered from `octelium login` for later commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.client.errors import StateError

if TYPE_CHECKING:
    from octelium.client.storage import Storage

FILE = "connections.json"
_FIELDS = {"endpoint": "endpoint", "tls_server_name": "tlsServerName", "ca": "ca"}


@dataclass(frozen=True, slots=True)
class Remembered:
    """Settings of one Cluster's connection; None stands for the default.

    `endpoint` is `HOST:PORT`, `ca` the PEM text of the certificates to trust (the text, so that it
    outlives the file that it came from).
    """

    endpoint: str | None = None
    tls_server_name: str | None = None
    ca: str | None = None


class Connections:
    """The remembered settings of all Clusters, by domain."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, domain: str) -> Remembered:
        """What is remembered of a domain. Raises StateError when the file is damaged."""
        stored = self._read().get(domain, {})
        values: dict[str, str | None] = {}
        for field, key in _FIELDS.items():
            value = stored.get(key) if isinstance(stored, dict) else 0
            if not (value is None or isinstance(value, str)):
                raise self._damaged()
            values[field] = value
        return Remembered(**values)

    def put(self, domain: str, remembered: Remembered) -> None:
        """Remember other settings for a domain."""
        stored = {key: getattr(remembered, field) for field, key in _FIELDS.items()}
        with self._storage.lock(FILE):
            domains = self._read()
            if domains.get(domain, {}) == (
                kept := {key: value for key, value in stored.items() if value}
            ):
                return
            domains[domain] = kept
            self._write(domains)

    def forget(self, domain: str) -> None:
        """Remove the settings for a domain, if there are any."""
        with self._storage.lock(FILE):
            domains = self._read()
            if domain in domains:
                del domains[domain]
                self._write(domains)

    def domains(self) -> list[str]:
        """The domains that have remembered settings, in order."""
        return sorted(self._read())

    def _write(self, domains: dict[str, Any]) -> None:
        text = json.dumps({"domains": domains}, indent=2, sort_keys=True)
        self._storage.write(FILE, f"{text}\n".encode())

    def _read(self) -> dict[str, Any]:
        content = self._storage.read(FILE)
        if not content:
            return {}
        try:
            domains = json.loads(content)["domains"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged() from error
        if not isinstance(domains, dict):
            raise self._damaged()
        return domains

    def _damaged(self) -> StateError:
        return StateError(
            f"{self._storage.where(FILE)} is damaged",
            "remove the file and log in again with --endpoint and --ca-file",
        )
