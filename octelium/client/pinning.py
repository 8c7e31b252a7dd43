"""Connections without verification, for Clusters whose certificate nobody vouches for yet.

gRPC has no switch for it. So the certificate that the server shows is fetched first and is then
the only one that is trusted: less than verification, more than none.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from octelium.client.errors import ApiError

if TYPE_CHECKING:
    from octelium.client.settings import Target

TIMEOUT = 10.0


def fetch_certificate(target: Target) -> tuple[bytes, str]:
    """The certificate that the target shows, in PEM form, and a host name that it is made for.

    Raises ApiError (`UNAVAILABLE`) when there is no TLS server at the other end.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    address = (loopback_or(target.host), target.port)
    try:
        with (
            socket.create_connection(address, TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=target.tls_server_name) as connection,
        ):
            der = connection.getpeercert(binary_form=True)
    except OSError as error:
        raise ApiError("UNAVAILABLE", f"cannot reach {target.endpoint}: {error}", "") from error
    assert der is not None  # a TLS server always has one
    return ssl.DER_cert_to_PEM_cert(der).encode(), _name_of(der, target.tls_server_name)


def loopback_or(host: str) -> str:
    """`localhost` for names below it (RFC 6761, section 6.3): not every resolver knows them."""
    return "localhost" if host.lower().rstrip(".").endswith(".localhost") else host


def _name_of(der: bytes, wanted: str) -> str:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return wanted
    dns = names.value.get_values_for_type(x509.DNSName)
    if not dns or any(_covers(name, wanted) for name in dns):
        return wanted
    return dns[0].replace("*", "octelium-api", 1)


def _covers(name: str, wanted: str) -> bool:
    if name.startswith("*."):
        return wanted.partition(".")[2].lower() == name[2:].lower()
    return name.lower() == wanted.lower()
