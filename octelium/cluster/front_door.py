"""One real request through this machine's own front door: do people reach the Services?

The request takes the whole way: TLS, a worker, its token check, the decision, the log, and, for the
API, the control process. Its Session is one of the system's own User, who has no rights; it and its
Credential are gone once the answer is there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.view import TransactionView
from octelium.cluster import tls_secrets
from octelium.schema.names import full_service_name, public_fqdn
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from octelium.cluster.health import Health
    from octelium.cluster.settings import Settings
    from octelium.identity.authentication import Authentication
    from octelium.store.resources import Resources

USER = "octelium"
API = "default.octelium-api"
_SECONDS = 10.0
_LIFETIME = 300
"""Seconds after which the Credential is void if this process is killed before it deletes it."""
_LARGEST = 1 << 20
_STATUS = "/octelium.api.main.user.v1.MainService/GetStatus"
_NO_FIELDS = b"\0\0\0\0\0"


class FrontDoorError(Exception):
    """Requests are not served; the text says where it ended."""


@dataclass(frozen=True, slots=True)
class FrontDoorProbe:
    """Sends requests as clients do."""

    resources: Resources
    authentication: Authentication
    settings: Settings
    health: Health

    async def send(self, service: str = "") -> dict[str, str | int]:
        """Ask for the page of a Service, or call the API if none is named.

        The reply tells the `url`, the `status` and the `milliseconds` that it took.

        Raises:
            FrontDoorError: what `/readyz` checks is not well, or the answer is none of success.
            StoreError: no Session can be made.
            AuthenticationError: likewise.
        """
        troubles = {name: said for name, said in self.health.report().items() if said != "ok"}
        if troubles:
            raise FrontDoorError("; ".join(f"{name}: {said}" for name, said in troubles.items()))
        name = full_service_name(service) if service else API
        if self.resources.peek(core.Service, name=name) is None:
            raise FrontDoorError(f"there is no Service {service}")
        host = public_fqdn(name, self.settings.domain)
        path = "/" if service else _STATUS
        url = f"https://{host}{self.settings.port_suffix}{path}"
        began = time.monotonic()
        async with self._session() as token:
            try:
                async with asyncio.timeout(_SECONDS):
                    status, body = await self._ask(host, _request(host, path, token))
            except TimeoutError as error:
                raise FrontDoorError(f"{url}: no answer within {_SECONDS:g} seconds") from error
            except (OSError, ValueError, EOFError) as error:
                raise FrontDoorError(f"{url}: {error}") from error
        if status != 200:
            raise FrontDoorError(f"{url} answers {status}")
        if not service and b"grpc-status:0\r\n" not in body:
            raise FrontDoorError(f"{url} answers without success")
        taken = round((time.monotonic() - began) * 1000)
        return {"url": url, "status": status, "milliseconds": taken}

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[str]:
        """An access token, good for as long as this lasts."""
        async with self.resources.transaction() as tx:
            credential = _credential()
            complete(credential, TransactionView(tx))
            credential = tx.create(credential)
            made = self.authentication.generate_token(tx, credential)
        uid = credential.metadata.uid
        try:
            yield made.access_token.access_token
        finally:
            async with self.resources.transaction() as tx:
                for session in tx.peek_all(core.Session, by={"status.credentialRef": uid}):
                    tx.delete(core.Session, session.metadata.uid)
                tx.delete(core.Credential, uid)

    async def _ask(self, host: str, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError, ValueError, EOFError."""
        place = self.settings.listen[0].for_clients()
        reader, writer = await asyncio.open_connection(place.host, place.port, limit=_LARGEST)
        try:
            if self._is_announced(place.host):
                writer.write(b"PROXY UNKNOWN\r\n")
            await writer.start_tls(self._trust(), server_hostname=host)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            version, status, *_ = head.split(b" ", 2)
            if version != b"HTTP/1.1":
                raise ValueError(f"the answer is no HTTP/1.1 but {version!r}")
            return int(status), await reader.read(_LARGEST)
        finally:
            writer.close()

    def _is_announced(self, host: str) -> bool:
        """Whether connections from there begin with a PROXY header."""
        address = ipaddress.ip_address(host)
        networks = map(ipaddress.ip_network, self.settings.proxy_protocol_from)
        return any(address in network for network in networks)

    def _trust(self) -> ssl.SSLContext:
        """Trusts the certificate that is installed, whoever issued it, and no other."""
        secret = self.resources.get(core.Secret, name=tls_secrets.name_of("default"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=secret.spec.data.value)
        return context


def _credential() -> Any:
    """Lets the system's own User in for a moment, with no right but what everybody has."""
    credential = core.Credential(api_version="core/v1", kind="Credential")
    credential.metadata.name = f"probe-{secrets.token_hex(4)}"
    credential.spec.type = core.CredentialSpecType__.ACCESS_TOKEN
    credential.spec.user = USER
    credential.spec.session_type = core.SessionStatusType__.CLIENTLESS
    credential.spec.expires_at.FromSeconds(int(time.time()) + _LIFETIME)
    return credential


def _request(host: str, path: str, token: str) -> bytes:
    """A page, or a call in the form of gRPC-Web, which HTTP/1.1 can carry."""
    fields = [f"Host: {host}", f"X-Octelium-Auth: {token}", "Connection: close"]
    if path == "/":
        return "\r\n".join([f"GET {path} HTTP/1.1", *fields, "Accept: text/html", "", ""]).encode()
    fields += ["Content-Type: application/grpc-web+proto", "X-Grpc-Web: 1"]
    fields += [f"Content-Length: {len(_NO_FIELDS)}"]
    return "\r\n".join([f"POST {path} HTTP/1.1", *fields, "", ""]).encode() + _NO_FIELDS
