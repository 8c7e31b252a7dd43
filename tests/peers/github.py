"""A stand-in for GitHub Enterprise Server: the endpoints, answers and refusals of the real one.

Its authorization page is one form; whoever names a login there is that person.
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.peers.https import HttpsServer, Request, Response, https_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass
class Account:
    """A person at GitHub; `emails` as `/user/emails` lists them."""

    login: str
    emails: Sequence[Mapping[str, Any]] = ()
    profile: Mapping[str, Any] = field(default_factory=dict)

    @property
    def user(self) -> dict[str, Any]:
        """What `/user` answers."""
        number = int.from_bytes(hashlib.sha256(self.login.encode()).digest()[:4])
        return {
            "login": self.login,
            "id": number,
            "avatar_url": f"https://avatars.example/u/{number}",
            "type": "User",
            "email": None,
            **self.profile,
        }


@dataclass(frozen=True)
class _Grant:
    login: str
    redirect_uri: str
    challenge: str


class GitHub:
    """Answers; `accounts` may be changed while it runs."""

    def __init__(self, server: HttpsServer, redirect_uri: str) -> None:
        self.server = server
        self.url = server.origin
        self.client_id = "Iv1.0123456789abcdef"
        self.client_secret = secrets.token_hex(20)
        self.redirect_uri = redirect_uri
        self.accounts: dict[str, Account] = {}
        self._codes: dict[str, _Grant] = {}
        self._tokens: dict[str, str] = {}
        server.routes["/login/oauth/authorize"] = self._authorize
        server.routes["/login/oauth/access_token"] = self._access_token
        server.routes["/api/v3/user"] = self._user
        server.routes["/api/v3/user/emails"] = self._emails

    def add(self, login: str, *emails: Mapping[str, Any], **profile: Any) -> None:
        """A person."""
        self.accounts[login] = Account(login, emails, profile)

    def _authorize(self, request: Request) -> Response:
        asked = request.query if request.method == "GET" else request.form
        if asked.get("client_id") != self.client_id:
            return Response(status=404)
        if asked.get("redirect_uri", self.redirect_uri) != self.redirect_uri:
            return self._back(asked, error="redirect_uri_mismatch")
        if request.method == "GET":
            fields = {**asked, "login": "", "authorize": "1"}
            inputs = "".join(
                f'<input name="{html.escape(name)}" value="{html.escape(value)}">'
                for name, value in fields.items()
            )
            page = f'<form method="post" action="/login/oauth/authorize">{inputs}<button>Authorize'
            return Response(page.encode(), headers={"Content-Type": "text/html; charset=utf-8"})
        if asked["login"] not in self.accounts:
            description = "The user has denied your application access."
            return self._back(asked, error="access_denied", error_description=description)
        code = secrets.token_hex(10)
        challenge = asked.get("code_challenge", "")
        self._codes[code] = _Grant(asked["login"], self.redirect_uri, challenge)
        return self._back(asked, code=code)

    def _back(self, asked: Mapping[str, str], **answer: str) -> Response:
        told = {**answer, "state": asked.get("state", "")}
        return Response.redirect(f"{self.redirect_uri}?{urlencode(told)}")

    def _access_token(self, request: Request) -> Response:
        form = request.form
        if request.method != "POST" or request.headers.get("accept") != "application/json":
            return Response(status=404)
        if (form.get("client_id"), form.get("client_secret")) != (
            self.client_id,
            self.client_secret,
        ):
            return _refusal("incorrect_client_credentials", "The client_id is incorrect.")
        grant = self._codes.pop(form.get("code", ""), None)
        if grant is None or not _is_verified(grant.challenge, form.get("code_verifier", "")):
            return _refusal("bad_verification_code", "The code passed is incorrect or expired.")
        if form.get("redirect_uri", grant.redirect_uri) != grant.redirect_uri:
            return _refusal("redirect_uri_mismatch", "The redirect_uri MUST match.")
        token = f"gho_{secrets.token_hex(18)}"
        self._tokens[token] = grant.login
        return Response.json({"access_token": token, "scope": "user:email", "token_type": "bearer"})

    def _owner(self, request: Request) -> Account | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self.accounts.get(self._tokens.get(token, ""))

    def _user(self, request: Request) -> Response:
        owner = self._owner(request)
        if owner is None:
            return Response.json({"message": "Bad credentials"}, 401)
        return Response.json(owner.user)

    def _emails(self, request: Request) -> Response:
        owner = self._owner(request)
        if owner is None:
            return Response.json({"message": "Bad credentials"}, 401)
        return Response.json(list(owner.emails))


def _refusal(error: str, description: str) -> Response:
    """Refusals have status 200, as GitHub's have."""
    return Response.json({"error": error, "error_description": description})


def _is_verified(challenge: str, verifier: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    return not challenge or base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge


@contextmanager
def github(redirect_uri: str) -> Iterator[GitHub]:
    """A running stand-in that knows one OAuth app. Its certificate is of `certs.ca()`."""
    with https_server() as server:
        yield GitHub(server, redirect_uri)
