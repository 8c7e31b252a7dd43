"""What an OAuth 2.0 client at a provider needs: its secret, PKCE, and readable refusals."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from octelium.authserver.providers.interface import (
    ProviderDeniedError,
    ProviderError,
    ProviderUnavailableError,
)
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.store.reading import Reader

ANSWER_LIMIT: Final = 256 << 10
"""Bytes that an answer of a provider may have."""
_LONGEST_CODE: Final = 4096
_DENIED: Final = "access_denied"


def client_secret(resources: Reader, name: str) -> str:
    """The text of the Secret that an IdentityProvider names, as it is now.

    Raises:
        ProviderUnavailableError: there is none, or it is no text.
    """
    secret = resources.find(core.Secret, name=name) if name else None
    if secret is None:
        raise ProviderUnavailableError(f"the Secret {name!r} of the client does not exist")
    if secret.data.WhichOneof("type") == "value":
        return secret.data.value
    try:
        text = secret.data.value_bytes.decode()
    except UnicodeDecodeError as error:
        raise ProviderUnavailableError(f"the Secret {name!r} of the client is no text") from error
    return text


def new_verifier() -> str:
    """A code verifier (RFC 7636 section 4.1)."""
    return secrets.token_urlsafe(32)


def challenge(verifier: str) -> str:
    """Its S256 code challenge (RFC 7636 section 4.2)."""
    return unpadded(hashlib.sha256(verifier.encode()).digest())


def unpadded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """A URL with more parameters in its query; those that it has stay (RFC 6749 section 3.1)."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def code_of(parameters: Mapping[str, str]) -> str:
    """The authorization code that a browser came back with (RFC 6749 section 4.1.2).

    Raises:
        ProviderDeniedError: it came back with `access_denied`.
        ProviderError: it came back with another error, or with nothing.
    """
    if "error" in parameters:
        told = refused("the provider", parameters)
        raise ProviderDeniedError(str(told)) if parameters["error"] == _DENIED else told
    code = parameters.get("code", "")
    if not code or len(code) > _LONGEST_CODE:
        raise ProviderError("the browser came back without a code")
    return code


def refused(whose: str, answer: Mapping[str, Any]) -> ProviderError:
    """An error answer (RFC 6749 sections 4.1.2.1 and 5.2) as text for the log."""
    told = [_shown(answer[name]) for name in ("error", "error_description") if name in answer]
    return ProviderError(f"{whose} refuses: {': '.join(told)}")


def text_claim(claims: Mapping[str, Any], name: str) -> str:
    """A claim that is a text; empty if it is missing or something else."""
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else type(value).__name__
    return "".join(c if c.isprintable() else "?" for c in text[:200])
