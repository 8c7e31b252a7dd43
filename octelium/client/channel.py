"""gRPC channels to a Cluster's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from octelium import __version__
from octelium.client.pinning import fetch_certificate, loopback_or

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.client.settings import Target

_MOST = 256 << 20
_LOOPBACK = ("localhost", "127.", "::1")


def open_channel(target: Target, warn: Callable[[str], None]) -> grpc.Channel:
    """A channel to the target; it connects at the first call.

    TLS is verified against `target.tls_server_name`. With `target.insecure` the certificate that
    the server shows is taken as it is, which `warn` is told. Raises ApiError when that one cannot
    be fetched.
    """
    if target.socket is not None:
        options = [*_common(), ("grpc.default_authority", target.api_name)]
        return grpc.insecure_channel(f"unix:{target.socket}", options)
    authorities, server_name = target.ca, target.tls_server_name
    if target.insecure:
        warn(
            f"the certificate of {target.endpoint} is not verified (OCTELIUM_INSECURE_TLS): "
            "whoever answers there can read and change everything"
        )
        authorities, server_name = fetch_certificate(target)
    credentials = grpc.ssl_channel_credentials(root_certificates=authorities)
    host = loopback_or(target.host)
    options = [
        *_common(),
        ("grpc.ssl_target_name_override", server_name),
        ("grpc.default_authority", target.api_name),
    ]
    if host.startswith(_LOOPBACK):
        options.append(("grpc.enable_http_proxy", 0))
    port = f"[{host}]:{target.port}" if ":" in host else f"{host}:{target.port}"
    return grpc.secure_channel(f"dns:///{port}", credentials, options)


def _common() -> list[tuple[str, str | int]]:
    return [
        # A Session of type CLIENT is only made for clients that call themselves so.
        ("grpc.primary_user_agent", f"octelium-cli/{__version__}"),
        ("grpc.max_receive_message_length", _MOST),
        ("grpc.max_send_message_length", _MOST),
        ("grpc.keepalive_time_ms", 45_000),
        ("grpc.keepalive_timeout_ms", 15_000),
        ("grpc.enable_retries", 0),  # octelium.client.stub knows which calls may be repeated
        ("grpc.initial_reconnect_backoff_ms", 50),  # else the attempts after the first are none
        ("grpc.max_reconnect_backoff_ms", 5_000),  # callers that wait longer do so by themselves
    ]
