"""Authenticators of the stand-in for a Cluster: apps that show `123456` and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    import pytest

    from tests.client.standin import StandIn

TYPES = auth.AuthenticatorStatusType__
PASSWORD = "123456"
URL = "otpauth://totp/Octelium%20-%20lab.test:root?secret=JBSWY3DPEHPK3PXP&issuer=x"


class SecondFactor:
    """Answers what `auth.v1` is asked about Authenticators."""

    def __init__(self, cluster: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        self.items: list[auth.Authenticator] = []
        self._cluster = cluster
        self._rest = cluster._auth
        monkeypatch.setattr(cluster, "_auth", self._answer)

    def add(self, name: str, kind: Any = TYPES.TOTP, *, registered: bool = True) -> None:
        """An Authenticator."""
        made = auth.Authenticator(kind="Authenticator", metadata=meta.Metadata(name=name))
        made.metadata.uid = f"uid-{name}"
        made.status.type, made.status.is_registered = kind, registered
        self.items.append(made)

    def _answer(self, method: str, request: Any, metadata: dict[str, str]) -> Any:
        if "Authenticator" not in method:
            return self._rest(method, request, metadata)
        if metadata.get("x-octelium-refresh-token") != f"refresh-{self._cluster.generation}":
            raise RefusedError("UNAUTHENTICATED", "invalid refresh token")
        match method:
            case "ListAuthenticator":
                return auth.AuthenticatorList(kind="AuthenticatorList", items=self.items)
            case "GetAvailableAuthenticator":
                apps = [one for one in self.items if one.status.type == TYPES.TOTP]
                return auth.GetAvailableAuthenticatorResponse(available_authenticators=apps)
            case "CreateAuthenticator":
                self.add(f"totp-{len(self.items)}", request.type, registered=False)
                self.items[-1].spec.display_name = request.display_name
                return self.items[-1]
            case "DeleteAuthenticator":
                self.items = [one for one in self.items if one.metadata.name != request.name]
                return meta.OperationResult()
            case "RegisterAuthenticatorBegin":
                reply = auth.RegisterAuthenticatorBeginResponse()
                reply.challenge_request.totp.url = URL
                return reply
            case "AuthenticateAuthenticatorBegin":
                return auth.AuthenticateAuthenticatorBeginResponse()
        if request.challenge_response.totp.response != PASSWORD:
            raise RefusedError("PERMISSION_DENIED", "not accepted")
        if method == "RegisterAuthenticatorFinish":
            (one,) = [x for x in self.items if x.metadata.uid == request.authenticator_ref.uid]
            one.status.is_registered = True
            return auth.RegisterAuthenticatorFinishResponse()
        assert method == "AuthenticateWithAuthenticator"
        return self._cluster.new_session()
