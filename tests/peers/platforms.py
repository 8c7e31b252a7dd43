"""Stand-ins for what gives workloads their tokens on GitHub Actions and on Azure: the endpoints,
answers and refusals of the real ones.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.peers.https import Request, Response

if TYPE_CHECKING:
    from tests.peers.https import HttpsServer
    from tests.peers.issuer import Issuer

METADATA_ADDRESS: Final = "169.254.169.254"
_METADATA_PATH: Final = "/metadata/identity/oauth2/token"
_OLDEST_VERSION: Final = "2018-02-01"
_JOB_PATH: Final = "/idtoken"


@dataclass
class Job:
    """A job of GitHub Actions that has the permission `id-token: write`.

    https://docs.github.com/actions/reference/security/oidc
    """

    issuer: Issuer
    subject: str
    bearer: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def __post_init__(self) -> None:
        self.issuer.server.routes[_JOB_PATH] = self._token

    @property
    def environment(self) -> dict[str, str]:
        """What the runner adds to the environment of the job's steps."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.issuer.url}{_JOB_PATH}?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.bearer,
        }

    def _token(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.bearer}":
            return Response.json({"message": "Bad credentials"}, 401)
        if request.method != "GET" or request.query.get("api-version") != "2.0":
            return Response(status=404)
        audience = request.query.get("audience", "https://github.com/example")
        repository = self.subject.split(":")[1]
        more = {
            "repository": repository,
            "ref": "refs/heads/main",
            "runner_environment": "github-hosted",
        }
        token = self.issuer.token(self.subject, audience, **more)
        return Response.json({"count": len(token), "value": token})


@dataclass
class ManagedIdentity:
    """The managed identity of a virtual machine, at Azure's instance metadata service.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
    """

    server: HttpsServer
    issuer: Issuer
    object_id: str

    def __post_init__(self) -> None:
        self.server.routes[_METADATA_PATH] = self._token

    @property
    def url(self) -> str:
        """Where tokens are asked for."""
        return self.server.origin + _METADATA_PATH

    def _token(self, request: Request) -> Response:
        problem = ""
        if request.method != "GET" or "x-forwarded-for" in request.headers:
            problem = "Forwarded and modifying requests are not served"
        elif request.headers.get("metadata") != "true":
            problem = "Required metadata header not specified"
        elif request.query.get("api-version", "") < _OLDEST_VERSION:
            problem = "The version is not supported"
        elif not request.query.get("resource"):
            problem = "Required audience parameter not specified"
        if problem:
            body = {"error": "invalid_request", "error_description": problem}
            return Response.json(body, 400)
        resource, now = request.query["resource"], int(time.time())
        token = self.issuer.token(self.object_id, resource, oid=self.object_id, idtyp="app")
        return Response.json(
            {
                "access_token": token,
                "client_id": "5e29463d-71da-4fe0-8e69-999b57db23b0",
                "expires_in": "300",
                "expires_on": str(now + 300),
                "ext_expires_in": "300",
                "not_before": str(now),
                "resource": resource,
                "token_type": "Bearer",
            }
        )
