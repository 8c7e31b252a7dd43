"""Where and how to reach a Cluster: flags, then the environment, then what is remembered."""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from octelium.client.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.client.connections import Remembered

PORT = 443
_DOMAIN = frozenset(f"{string.ascii_lowercase}{string.digits}-._")
_TRUE = ("true", "1", "yes")
# Where operating systems keep the public certificate authorities, as Go's crypto/x509 looks.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True)
class Flags:
    """Connection settings of a command line; None where a flag was not given."""

    domain: str | None = None
    endpoint: str | None = None
    ca_file: str | None = None
    tls_server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One Cluster's API as a client sees it.

    `ca` is PEM text, None for the public authorities. `socket` is the path of a Unix socket that
    adds the identity itself; it replaces endpoint and TLS.
    """

    domain: str
    host: str
    port: int
    tls_server_name: str
    ca: bytes | None = None
    insecure: bool = False
    socket: str | None = None

    @property
    def api_name(self) -> str:
        """The API's host name."""
        return f"octelium-api.{self.domain}"

    @property
    def endpoint(self) -> str:
        """`HOST:PORT`, IPv6 addresses in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_true(value: str | None) -> bool:
    """Whether the text of an environment variable switches something on."""
    return (value or "").lower() in _TRUE


def choose_domain(
    flag: str | None, environ: Mapping[str, str], known: list[str], current: str | None = None
) -> str:
    """The Cluster to talk to: the flag, `OCTELIUM_DOMAIN`, `current`, or the only one remembered.

    Raises SettingsError when that leaves none or several, and for what is no domain.
    """
    chosen = (flag or environ.get("OCTELIUM_DOMAIN") or "").strip().rstrip(".").lower()
    if chosen:
        if not set(chosen) <= _DOMAIN:
            host = chosen.rpartition("://")[2].partition("/")[0].partition(":")[0]
            shown = host if host and set(host) <= _DOMAIN else "example.com"
            raise SettingsError(f"{chosen!r} is not a domain name", f"write it as in {shown}")
        return chosen
    if current is not None:
        return current
    if len(known) == 1:
        return known[0]
    if known:
        raise SettingsError(
            f"several Clusters are known: {', '.join(known)}",
            "choose one: octelium context use DOMAIN; or give --domain DOMAIN or set "
            "OCTELIUM_DOMAIN",
        )
    raise SettingsError(
        "the Cluster's domain is not set",
        "give --domain DOMAIN or set OCTELIUM_DOMAIN; octelium login --domain DOMAIN remembers it",
    )


def resolve(
    domain: str, flags: Flags, environ: Mapping[str, str], remembered: Remembered
) -> Target:
    """Put a Target together. Each setting: flag, then environment, then memory, then default.

    Raises SettingsError for an endpoint or a file of certificates that cannot be used.
    """
    endpoint = flags.endpoint or environ.get("OCTELIUM_API_ENDPOINT") or remembered.endpoint
    host, port = split_endpoint(endpoint) if endpoint else (f"octelium-api.{domain}", PORT)
    return Target(
        domain=domain,
        host=host,
        port=port,
        tls_server_name=(
            flags.tls_server_name
            or environ.get("OCTELIUM_TLS_SERVER_NAME")
            or remembered.tls_server_name
            or f"octelium-api.{domain}"
        ),
        ca=_authorities(flags, environ, remembered, _other_way(domain, port)),
        insecure=is_true(environ.get("OCTELIUM_INSECURE_TLS")),
        socket=environ.get("OCTELIUM_AUTH_PROXY_SOCKET") or None,
    )


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT`, `[IPV6]:PORT`.

    `https://` or `dns:///` in front is left out.
    Raises SettingsError.
    """
    text = endpoint.strip().removeprefix("dns:///")
    if text.lower().startswith("https://"):
        text = text[len("https://") :].removesuffix("/")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(PORT)
    elif ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise SettingsError(f"endpoint {endpoint!r}: an IPv6 address stands in brackets")
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or any(character.isspace() for character in host):
        raise SettingsError(f"endpoint {endpoint!r} is not of the form HOST:PORT")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise SettingsError(f"endpoint {endpoint!r}: {port!r} is not a port between 1 and 65535")
    return host, int(port)


def read_authorities(path: str, remedy: str = "") -> bytes:
    """The PEM certificates of a file. Raises SettingsError when it cannot be read or has none."""
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read the CA file {path}: {error.strerror}", remedy) from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise SettingsError(f"the CA file {path} holds no certificate in PEM form", remedy)
    return content


def _other_way(domain: str, port: int) -> str:
    """What to do about a `--ca-file` that is of use elsewhere only, such as at the Cluster."""
    suffix, endpoint = "", ""
    if port != PORT:
        suffix, endpoint = f":{port}", f" --endpoint octelium-api.{domain}:{port}"
    return (
        f"save https://{domain}{suffix}/ca.pem (compare its fingerprint), then: octelium login "
        f"--domain {domain}{endpoint} --ca-file ca.pem; without --ca-file if a public authority "
        "issued the Cluster's certificate"
    )


def _authorities(
    flags: Flags, environ: Mapping[str, str], remembered: Remembered, remedy: str
) -> bytes | None:
    if flags.ca_file:
        return read_authorities(flags.ca_file, remedy)
    # SSL_CERT_FILE is often set for the whole machine, so it adds to what the Cluster was given.
    chosen = [remembered.ca.encode()] if remembered.ca else []
    if configured := environ.get("SSL_CERT_FILE"):
        chosen.append(read_authorities(configured))
    if chosen:
        return b"\n".join(chosen)
    for bundle in _BUNDLES:
        if Path(bundle).is_file():
            return read_authorities(bundle)
    return None  # grpc brings the public authorities along
