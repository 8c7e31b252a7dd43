"""IdentityProviders."""

from __future__ import annotations

from octelium.schema.errors import Invalid, under
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule
from octelium.schema.validation.texts import canonical_issuer

GROUPS_ANNOTATION = "groups-config"
"""Annotation of an IdentityProvider: the Config that says which groups its assertions name."""


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
    """An issuer is that of one IdentityProvider of a type; groups are taken by a Config for it."""
    _check_groups(provider, validator)
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


def _check_groups(provider: core.IdentityProvider, validator: Validator) -> None:
    if GROUPS_ANNOTATION not in provider.metadata.annotations:
        return
    place = under("metadata.annotations", GROUPS_ANNOTATION)
    name = provider.metadata.annotations[GROUPS_ANNOTATION]
    validator.reference("Config", name, place)
    config = None if validator.view is None else validator.view.get("Config", name)
    if config is None or config.data.WhichOneof("type") is None:
        return  # where the data is unknown it is not judged
    try:
        validator.expressions.check_groups(config)
    except Invalid as error:
        problem = f"the Config {name!r} says no groups: {error.path} {error.problem}"
        raise Invalid(place, problem, error.remedy) from None


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
