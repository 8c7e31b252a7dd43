"""Platforms that give a workload its assertion over the network."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import httpx

from octelium.client.bounded import fetch_json
from octelium.client.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

AZURE_URL: Final = "http://169.254.169.254/metadata/identity/oauth2/token"
_AZURE_VERSION: Final = "2021-05-01"
_URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
_BEARER: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_SECONDS: Final = 10.0


def azure(audience: str, *, url: str = AZURE_URL) -> str:
    """The token of a managed identity, from Azure's instance metadata service.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
    Raises SettingsError.
    """
    query = {"api-version": _AZURE_VERSION, "resource": audience}
    # The address is of the machine's own network: no proxy leads there.
    with httpx.Client(trust_env=False, timeout=_SECONDS) as client:
        request = client.build_request("GET", url, params=query, headers={"Metadata": "true"})
        return _token(client, request, "access_token", "Azure's instance metadata service")


def github_actions(environ: Mapping[str, str], audience: str) -> str:
    """The identity token of a job of GitHub Actions.

    https://docs.github.com/actions/reference/security/oidc
    Raises SettingsError.
    """
    url, bearer = environ.get(_URL, ""), environ.get(_BEARER, "")
    if not url or not bearer:
        raise SettingsError(
            "this is no job of GitHub Actions that may ask for an identity token",
            "give the job the permission `id-token: write`",
        )
    if not url.startswith("https://"):
        raise SettingsError(f"{_URL} is not an https address", "do not set it yourself")
    context = ssl.create_default_context()
    if bundle := environ.get("SSL_CERT_FILE"):
        try:
            context.load_verify_locations(bundle)
        except OSError as error:  # also what is no certificate
            raise SettingsError(f"cannot use the CA file {bundle}: {error}") from error
    with httpx.Client(verify=context, timeout=_SECONDS) as client:
        whole = httpx.URL(url).copy_merge_params({"audience": audience})
        request = client.build_request("GET", whole, headers={"Authorization": f"Bearer {bearer}"})
        return _token(client, request, "value", "GitHub Actions")


def _token(client: httpx.Client, request: httpx.Request, key: str, who: str) -> str:
    try:
        status, body = fetch_json(client, request)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise SettingsError(f"{who} gives no token: {error or type(error).__name__}") from error
    token: Any = body.get(key)
    if status != 200 or not isinstance(token, str) or not token:
        reason = body.get("error_description") or body.get("message") or f"status {status}"
        raise SettingsError(f"{who} gives no token: {reason}")
    return token
