"""IdentityProviders."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule
from octelium.schema.validation.texts import canonical_issuer


@rule(core.IdentityProviderSpecOidc)
def check_oidc(spec: core.IdentityProviderSpecOidc, path: str, _validator: Validator) -> None:
    """Scopes are given once each."""
    for index, scope in enumerate(spec.scopes):
        if scope in spec.scopes[:index]:
            raise Invalid(f"{path}.scopes[{index}]", f"{scope!r} is given twice")


@rule(core.IdentityProviderSpecOidcIdentityToken)
def check_identity_token(
    spec: core.IdentityProviderSpecOidcIdentityToken, path: str, _validator: Validator
) -> None:
    """The issuer is either discovered at its URL, or named beside the keys; never both."""
    source = spec.WhichOneof("type")
    if source == "issuer_url" and spec.issuer:
        raise Invalid(f"{path}.issuer", "follows from issuerURL", "leave it out")
    if source in {"jwks_url", "jwks_content"} and not spec.issuer:
        raise Invalid(f"{path}.issuer", "is missing", "name the issuer that signs with the keys")


@rule(core.IdentityProvider)
def check_identity_provider(
    provider: core.IdentityProvider, _path: str, validator: Validator
) -> None:
    """An issuer is that of one IdentityProvider of a type."""
    issuer = issuer_of(provider.spec)
    if issuer is None or validator.view is None:
        return
    kind = provider.spec.WhichOneof("type")
    for other in validator.view.list("IdentityProvider"):
        if (
            other.metadata.name != provider.metadata.name
            and other.spec.WhichOneof("type") == kind
            and issuer_of(other.spec) == issuer
        ):
            form = "oidc" if kind == "oidc" else "oidcIdentityToken"
            raise Invalid(
                f"spec.{form}.issuerURL",
                f"is that of the IdentityProvider {other.metadata.name!r} already",
            )


def issuer_of(spec: core.IdentityProviderSpec) -> str | None:
    """The canonical issuer URL of an IdentityProvider that has one. Raises Invalid."""
    kind = spec.WhichOneof("type")
    if kind == "oidc":
        return canonical_issuer(spec.oidc.issuer_url, "spec.oidc.issuerURL")
    if kind == "oidc_identity_token" and spec.oidc_identity_token.WhichOneof("type") == (
        "issuer_url"
    ):
        path = "spec.oidcIdentityToken.issuerURL"
        return canonical_issuer(spec.oidc_identity_token.issuer_url, path)
    return None
