"""An issuer of identity tokens for workloads: a discovery document, keys that change, tokens."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.peers.https import HttpsServer, Request, Response, https_server

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from joserfc.jwk import KeyParameters

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/jwks"


class Issuer:
    """Signs with its newest key; publishes all that it has not withdrawn."""

    def __init__(self, server: HttpsServer) -> None:
        self.server = server
        self.url = server.origin
        self.document: dict[str, Any] = {"issuer": self.url, "jwks_uri": self.url + JWKS}
        self.keys: list[RSAKey | ECKey] = []
        self.rotate()
        server.routes[DISCOVERY] = self._discovery
        server.routes[JWKS] = self._jwks

    def rotate(self, algorithm: str = "ES256") -> None:
        """Sign with a new key; the old ones are withdrawn."""
        options: KeyParameters = {"kid": f"key-{time.monotonic_ns()}"}
        self.keys = [
            RSAKey.generate_key(2048, options)
            if algorithm == "RS256"
            else ECKey.generate_key("P-256" if algorithm == "ES256" else "P-384", options)
        ]

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    @property
    def fetches(self) -> int:
        """How often the keys were fetched."""
        return self.server.count(JWKS)

    def token(self, subject: str, audience: str, *, algorithm: str = "ES256", **claims: Any) -> str:
        """A token of the newest key, good for five minutes unless `claims` say otherwise."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        key = self.keys[-1]
        header = {"alg": algorithm, "kid": key.kid}
        told = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(header, told, key, algorithms=[algorithm])

    def _discovery(self, _request: Request) -> Response:
        return Response.json(self.document)

    def _jwks(self, _request: Request) -> Response:
        return Response.json(self.jwks)


@contextmanager
def issuer(listening: socket.socket | None = None, name: str = "localhost") -> Iterator[Issuer]:
    """A running issuer, like `https_server`."""
    with https_server(listening, name) as server:
        yield Issuer(server)
