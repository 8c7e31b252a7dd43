"""An OpenID Connect provider that says whatever a test makes it say."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.peers.https import HttpsServer, Request, Response, https_server
from tests.peers.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Rogue(Issuer):
    """Issues a code to whoever comes to `authorize`, and for it what `claims` and others say."""

    def __init__(self, server: HttpsServer) -> None:
        super().__init__(server)
        self.document |= {
            "authorization_endpoint": self.url + "/authorize",
            "token_endpoint": self.url + "/token",
            "userinfo_endpoint": self.url + "/me",
        }
        self.claims: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}
        self.told: Response = Response.json({})
        self.spoil: Callable[[str], str] = str
        self.algorithm = "ES256"
        self.nonces: dict[str, str] = {}
        server.routes["/token"] = self._token
        server.routes["/me"] = lambda _: self.told

    def authorize(self, url: str) -> dict[str, str]:
        """What a browser that was sent to `url` comes back with."""
        query = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_hex(8)
        self.nonces[code] = query["nonce"]
        return {"code": code, "state": query["state"]}

    def _token(self, request: Request) -> Response:
        nonce = self.nonces[request.form["code"]]
        claims = {"nonce": nonce, "email": "alice@example.com", **self.claims}
        subject, audience = claims.pop("sub", "alice"), claims.pop("aud", "octelium")
        token = self.token(subject, audience, algorithm=self.algorithm, **claims)
        body = {"access_token": "at", "token_type": "Bearer", "id_token": self.spoil(token)}
        return Response.json({**body, **self.answer})


@contextmanager
def rogue() -> Iterator[Rogue]:
    """A running one. Its certificate is of `tests.http.certs.ca()`."""
    with https_server() as server:
        yield Rogue(server)
