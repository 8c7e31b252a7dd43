"""What a Service's configuration refers to outside itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from octelium.schema.names import public_fqdn, split_service_name
from octelium.vigil.containers import Containers
from octelium.vigil.errors import Unserviceable, not_offered
from octelium.vigil.origins import Origins
from octelium.vigil.unfinished import Unfinished

if TYPE_CHECKING:
    from octelium.http.pool import Origin, UpstreamPool
    from octelium.replica.replica import Replica, SecretEntry
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.vigil.served import Served

_OWN_SECRETS: Final = ("crt-ns-", "sys:")
"""What names of the Cluster's own Secrets begin with: keys of certificates and of tokens."""

Expression = Callable[[Mapping[str, Any]], object]
"""A CEL-valued field: from `ctx` to a JSON value."""


class Environment:
    """Secrets, names, connections and expressions for compiling configurations.

    `compile_expression` turns the text of a CEL-valued field into a function of `ctx`; both may
    raise. `managed` are the origins of the Cluster's own components by type. `port` is the
    public port of the front door. `served` are the upstreams in the private network, None without
    one. `apart` are origins of the Cluster's own gRPC methods that have one to themselves.
    `has_controller` tells whether something deploys the containers of Services.
    """

    def __init__(
        self,
        replica: Replica,
        pool: UpstreamPool,
        *,
        managed: Mapping[str, Origin],
        compile_expression: Callable[[str], Expression],
        port: int = 443,
        served: Served | None = None,
        apart: Mapping[bytes, Origin] | None = None,
        has_controller: bool = False,
    ) -> None:
        self.replica = replica
        self.pool = pool
        self.managed = managed
        self.apart = apart or {}
        self.port = port
        self.containers = Containers(replica, is_managed=has_controller)
        self.origins = Origins(self.secret, self.containers)
        self.served = served
        self.unfinished = Unfinished(pool.ticker)
        self._compile_expression = compile_expression

    @property
    def domain(self) -> str:
        """The Cluster's domain; empty while nothing is known yet."""
        config = self.replica.cluster_config
        return config.domain if config is not None else ""

    @property
    def pseudonym(self) -> bytes:
        """A name of the Cluster that only those learn to whom it sends requests."""
        config = self.replica.cluster_config
        if config is None or not config.uid:
            return b""
        key = blake2b(config.uid.encode(), digest_size=6, person=b"request loops")
        return key.hexdigest().encode()

    def require_served(self) -> Served:
        """The upstreams that connected clients serve.

        Raises:
            Unserviceable: this process has no private network.
        """
        if self.served is None:
            raise not_offered(
                "an upstream served by a connected client, without a private network,"
            )
        return self.served

    def url(self, host: str) -> str:
        """`https://` URL of a public host name, with the port unless it is the usual one."""
        return f"https://{host}" if self.port == 443 else f"https://{host}:{self.port}"

    def public_host(self, service: core.Service) -> str:
        """The shortest public name of a Service."""
        return public_fqdn(service.metadata.name, self.domain)

    def canonical_host(self, service: core.Service) -> str:
        """The one name by which policies know a Service, whatever alias the client used."""
        name, namespace = split_service_name(service.metadata.name)
        return f"{name}.{namespace}.{self.domain}"

    def secret(self, name: str) -> core.Secret:
        """A Secret of somebody's making; to a Service the Cluster's own do not exist.

        Raises:
            Unserviceable: there is none of that name.
        """
        entry = self.replica.secrets_by_name.get(name)
        if entry is None or _is_own(entry):
            raise Unserviceable(f"Secret {name} does not exist", 502)
        return entry.message

    def secret_value(self, name: str) -> bytes:
        """The value of a Secret, without the newline that ends a text file.

        Raises:
            Unserviceable: there is no such Secret, or it is empty.
        """
        data = self.secret(name).data
        value = (data.value_bytes or data.value.encode()).removesuffix(b"\n").removesuffix(b"\r")
        if not value:
            raise Unserviceable(f"Secret {name} is empty", 502)
        return value

    def expression(self, text: str) -> Expression:
        """A CEL-valued field, compiled.

        Raises:
            Unserviceable: the text is no valid expression.
        """
        try:
            return self._compile_expression(text)
        except Exception as error:
            raise Unserviceable(f"expression {text[:80]!r}: {error}") from error


def _is_own(entry: SecretEntry) -> bool:
    """Whether a Secret is the Cluster's: the replica holds those for the front door's use."""
    metadata = entry.message.metadata
    return metadata.is_system or metadata.is_system_hidden or entry.name.startswith(_OWN_SECRETS)
