"""The way to the Cluster's front door: its name, its port, its certificate, and its clock."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from octelium.client.doctor.checks import Broken
from octelium.client.doctor.waiting import within
from octelium.client.pinning import loopback_or

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.client.settings import Target

SECONDS: Final = 5.0
_LARGEST_HEAD: Final = 64 << 10
_EXPIRED: Final = 10
_NOT_YET: Final = 9
_OTHER_NAME: Final = frozenset({62, 64})
_UNKNOWN: Final = frozenset({2, 18, 19, 20, 21, 27})
"""Of verify_code (openssl-verification-options(1)): nobody trusted vouches for it."""
_CA: Final = (
    "get the Cluster's ca.pem (https://DOMAIN/ca.pem offers it; on the Cluster's machine it is in "
    "the data directory) and give --ca-file ca.pem"
)


def is_address(host: str) -> bool:
    """Whether a host needs no name server."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def addresses(host: str, port: int, *, seconds: float = SECONDS) -> list[str]:
    """Where a name leads.

    Raises:
        Broken: nowhere.
    """
    asked = loopback_or(host)
    try:
        found = within(seconds, lambda: socket.getaddrinfo(asked, port, type=socket.SOCK_STREAM))
    except socket.gaierror as error:
        remedy = (
            f"make DNS records for {host} (and the Cluster's other names), or give the front door's"
            " address by --endpoint HOST:PORT; see which name servers /etc/resolv.conf names"
        )
        raise Broken(f"the name {host} is not found: {error.strerror}", remedy) from error
    except TimeoutError as error:
        remedy = "see whether the name servers in /etc/resolv.conf can be reached"
        raise Broken(f"no name server answers for {host}: {error}", remedy) from error
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def reach(places: list[str], port: int, *, seconds: float = SECONDS) -> str:
    """The first of the addresses that takes a connection.

    Raises:
        Broken: none does.
    """
    said: list[str] = []
    for place in places:
        try:
            with socket.create_connection((place, port), seconds):
                return place
        except OSError as error:
            said.append(f"{place} port {port}: {error.strerror or 'no answer'}")
    remedy = (
        "see whether the Cluster runs (`octelium up`) and listens there, and whether a firewall "
        "drops TCP to that port; with wrong addresses, correct the DNS records or --endpoint"
    )
    raise Broken(f"nobody takes connections: {'; '.join(said)}", remedy)


def cluster_time(
    target: Target,
    place: str,
    clock: Callable[[], dt.datetime],
    *,
    seconds: float = SECONDS,
) -> tuple[dt.datetime, dt.datetime]:
    """What time the front door says it is (RFC 9110, section 6.6.1), and what we say.

    Its certificate is not verified: with a wrong clock it could not be. Nothing is sent there but
    a request for the first page's head.

    Raises:
        OSError, ValueError: it does not tell.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    asked = f"HEAD / HTTP/1.1\r\nHost: {target.domain}\r\nConnection: close\r\n\r\n"
    with (
        socket.create_connection((place, target.port), seconds) as plain,
        context.wrap_socket(plain, server_hostname=target.domain) as stream,
    ):
        stream.sendall(asked.encode("idna" if not asked.isascii() else "ascii"))
        head = _head(stream)
        here = clock()
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "date":
            there = parsedate_to_datetime(value.strip())
            return (there if there.tzinfo else there.replace(tzinfo=dt.UTC)), here
    raise ValueError("the front door's answer has no date")


def _head(stream: ssl.SSLSocket) -> str:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _LARGEST_HEAD:
        data = stream.recv(4096)
        if not data:
            break
        head += data
    return head.partition(b"\r\n\r\n")[0].decode("latin-1")


def certificate(target: Target, place: str, *, seconds: float = SECONDS) -> str:
    """Verify the certificate as every command does; until when it is valid.

    Raises:
        Broken: it is not to be trusted, or nobody speaks TLS there.
    """
    given = None if target.ca is None else target.ca.decode("ascii", "ignore")
    try:
        context = ssl.create_default_context(cadata=given)
    except ssl.SSLError as error:
        raise Broken(f"the CA cannot be used: {error}", "check --ca-file") from error
    context.set_alpn_protocols(["h2"])
    name = target.tls_server_name
    try:
        with (
            socket.create_connection((place, target.port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=name) as stream,
        ):
            shown = stream.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise _fault(error, target, place, seconds) from error
    except ssl.SSLError as error:
        raise _refused(error, target) from error
    except OSError as error:
        remedy = f"see what listens at {target.endpoint}, and what stands between"
        said = error.strerror or "no answer"
        raise Broken(f"the TLS handshake does not end: {said}", remedy) from error
    return str(shown.get("notAfter", ""))


def _fault(
    error: ssl.SSLCertVerificationError, target: Target, place: str, seconds: float
) -> Broken:
    name = target.tls_server_name
    code = error.verify_code
    if code == _EXPIRED:
        remedy = "if this host's clock is right, renew it: octops cert, on the Cluster's machine"
        return Broken(f"the certificate has expired ({_dates(target, place, seconds)})", remedy)
    if code == _NOT_YET:
        remedy = "set this host's clock right"
        return Broken(
            f"the certificate is not valid yet ({_dates(target, place, seconds)})", remedy
        )
    if code in _OTHER_NAME:
        remedy = "check --domain and --endpoint, or give a name that it has by --tls-server-name"
        names = _names(target, place, seconds)
        return Broken(f"the certificate is for other names than {name}{names}", remedy)
    if code in _UNKNOWN:
        told = "the certificate is of an authority that this host does not trust"
        return Broken(told, _CA.replace("DOMAIN", target.domain))
    told = f"the certificate is not to be trusted: {error.verify_message}"
    return Broken(told, "ask who administers the Cluster")


def _refused(error: ssl.SSLError, target: Target) -> Broken:
    reason = (error.reason or str(error)).lower()
    if "unrecognized_name" in reason or "unrecognized name" in reason:
        told = f"whoever answers at {target.endpoint} does not serve {target.tls_server_name}"
        return Broken(told, "check --domain and --endpoint")
    told = f"whoever answers at {target.endpoint} speaks no TLS, or not ours: {reason}"
    return Broken(told, "check the port of --endpoint, and what stands between")


def _shown(target: Target, place: str, seconds: float) -> bytes | None:
    """The certificate in DER form, whatever it is worth."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        contextlib.suppress(OSError),
        socket.create_connection((place, target.port), seconds) as plain,
        context.wrap_socket(plain, server_hostname=target.tls_server_name) as stream,
    ):
        return stream.getpeercert(binary_form=True)
    return None


def _dates(target: Target, place: str, seconds: float) -> str:
    der = _shown(target, place, seconds)
    if der is None:
        return "it could not be read"
    from cryptography import x509

    found = x509.load_der_x509_certificate(der)
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    return f"valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _names(target: Target, place: str, seconds: float) -> str:
    der = _shown(target, place, seconds)
    if der is None:
        return ""
    from cryptography import x509

    found = x509.load_der_x509_certificate(der)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ""
    names = extension.value.get_values_for_type(x509.DNSName)
    return f": {', '.join(names[:4])}" if names else ""
