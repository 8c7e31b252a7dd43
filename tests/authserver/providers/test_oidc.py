from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from octelium.authserver.providers.interface import LoginContext, ProviderUnavailableError
from tests.authserver.providers.world import CALLBACK, STATE, TYPES, World, refusal
from tests.peers import oidc as real
from tests.peers.https import Request, Response
from tests.peers.rogue import Rogue, rogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.identity.verified import VerifiedIdentity
    from octelium.schema.pb import core_v1_pb2 as core

USERS: dict[str, dict[str, Any]] = {
    "alice": {
        "email": "alice@example.com",
        "email_verified": True,
        "picture": "https://example.com/a.png",
        "preferred_username": "al",
        "groups": ["ops"],
    },
    "bob": {"email": "bob@example.com", "email_verified": False},
}


@pytest.fixture(name="idp", scope="module")
def idp_fixture() -> Iterator[real.OidcProvider]:
    with real.oidc_provider(CALLBACK, USERS) as idp:
        yield idp


@pytest.fixture(name="strict", scope="module")
def strict_fixture() -> Iterator[real.OidcProvider]:
    """Tells claims at its UserInfo endpoint only, as the specification has it."""
    with real.oidc_provider(CALLBACK, USERS, userinfo_only=True) as idp:
        yield idp


async def add(world: World, idp: real.OidcProvider, **spec: Any) -> core.IdentityProvider:
    await world.add_secret(idp.client_secret)
    issuer = {"issuer_url": idp.issuer, "client_id": idp.client_id}
    return await world.add("okta", TYPES.OIDC, **{**issuer, **spec})


async def sign_in(world: World, provider: core.IdentityProvider, name: str) -> VerifiedIdentity:
    return await world.sign_in(provider, login=name, password="any")


async def test_a_login(world: World, idp: real.OidcProvider) -> None:
    provider = await add(world, idp, check_email_verified=True)
    verified = await sign_in(world, provider, "alice")
    assert verified.provider == provider
    assert verified.identifier == "alice@example.com"
    assert (verified.email, verified.email_verified) == ("alice@example.com", True)
    assert verified.picture_url == "https://example.com/a.png"
    assert verified.claims["sub"] == "alice"
    assert verified.claims["groups"] == ["ops"]


async def test_claims_of_the_user_info_endpoint(world: World, strict: real.OidcProvider) -> None:
    provider = await add(world, strict)
    login, private, landing = await world.walk(provider, login="alice", password="any")
    told = await refusal(world, login, landing.parameters, private)
    assert told.startswith(
        "the provider tells no claim 'email' that is a text: choose another with "
        "spec.oidc.identifierClaim, or ask more with useUserInfoEndpoint (told: "
    )
    assert "'sub'" in told
    provider.spec.oidc.use_user_info_endpoint = True
    verified = await sign_in(world, provider, "alice")
    assert verified.identifier == "alice@example.com"
    assert verified.claims["nonce"]


async def test_other_claims_identify(world: World, idp: real.OidcProvider) -> None:
    provider = await add(world, idp, identifier_claim="preferred_username")
    assert (await sign_in(world, provider, "alice")).identifier == "al"
    login, private, landing = await world.walk(provider, login="bob", password="any")
    told = await refusal(world, login, landing.parameters, private)
    assert "no claim 'preferred_username'" in told


async def test_unverified_addresses(world: World, idp: real.OidcProvider) -> None:
    provider = await add(world, idp)
    assert (await sign_in(world, provider, "bob")).email_verified is False
    provider.spec.oidc.check_email_verified = True
    login, private, landing = await world.walk(provider, login="bob", password="any")
    assert "verified the e-mail" in await refusal(world, login, landing.parameters, private)


async def test_codes_are_for_one_use_and_one_browser(world: World, idp: real.OidcProvider) -> None:
    provider = await add(world, idp)
    login, private, landing = await world.walk(provider, login="alice", password="any")
    assert await world.of(provider).finish(login, landing.parameters, private)
    assert "invalid_grant" in await refusal(world, login, landing.parameters, private)
    _, own, _ = await world.walk(provider, login="bob", password="any")
    _, _, stolen = await world.walk(provider, login="alice", password="any")
    assert "invalid_grant" in await refusal(world, login, stolen.parameters, own)


async def test_answers_of_other_issuers(world: World, idp: real.OidcProvider) -> None:
    """RFC 9207: this provider says that its answers carry `iss`."""
    provider = await add(world, idp)
    login, private, landing = await world.walk(provider, login="alice", password="any")
    assert landing.parameters["iss"] == idp.issuer
    for issuer in ("https://honest.example.com", "", idp.issuer + "/"):
        mixed = {**landing.parameters, "iss": issuer}
        assert "from another issuer" in await refusal(world, login, mixed, private)
    mixed.pop("iss")
    assert "does not say which issuer" in await refusal(world, login, mixed, private)
    assert await world.of(provider).finish(login, landing.parameters, private)


async def test_a_wrong_secret(world: World, idp: real.OidcProvider) -> None:
    await world.add_secret("wrong")
    provider = await world.add("okta", TYPES.OIDC, issuer_url=idp.issuer, client_id=idp.client_id)
    login, private, landing = await world.walk(provider, login="alice", password="any")
    assert "invalid_client" in await refusal(world, login, landing.parameters, private)


async def test_a_person_who_refuses(world: World, idp: real.OidcProvider) -> None:
    provider = await add(world, idp)
    login = LoginContext(provider, STATE)
    begun = await world.of(provider).begin(login)
    denied = {"error": "access_denied", "error_description": "no\r\nlog line", "iss": idp.issuer}
    told = await refusal(world, login, denied, dict(begun.private))
    assert told == "the provider refuses: access_denied: no??log line"


# From here on the provider is one that lies.


@pytest.fixture(name="liar")
def liar_fixture() -> Iterator[Rogue]:
    with rogue() as liar:
        yield liar


@pytest_asyncio.fixture(name="provider")
async def provider_fixture(world: World, liar: Rogue) -> core.IdentityProvider:
    await world.add_secret("s:ecr et")
    return await world.add("liar", TYPES.OIDC, issuer_url=liar.url, client_id="octelium")


async def finish(world: World, liar: Rogue, provider: core.IdentityProvider) -> VerifiedIdentity:
    login = LoginContext(provider, STATE)
    begun = await world.of(provider).begin(login)
    return await world.of(provider).finish(login, liar.authorize(begun.url), begun.private)


async def problem(world: World, liar: Rogue, provider: core.IdentityProvider) -> str:
    login = LoginContext(provider, STATE)
    begun = await world.of(provider).begin(login)
    return await refusal(world, login, liar.authorize(begun.url), dict(begun.private))


async def test_the_url_of_a_login(
    world: World, liar: Rogue, provider: core.IdentityProvider
) -> None:
    liar.document["authorization_endpoint"] += "?tenant=x"
    begun = await world.of(provider).begin(LoginContext(provider, STATE))
    query = {name: value for name, (value,) in parse_qs(urlsplit(begun.url).query).items()}
    digest = hashlib.sha256(begun.private["verifier"].encode()).digest()
    assert query == {
        "tenant": "x",
        "response_type": "code",
        "client_id": "octelium",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": STATE,
        "nonce": begun.private["nonce"],
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    assert len(query["nonce"]) == 22
    assert begun.private["verifier"] not in repr(begun)
    again = await world.of(provider).begin(LoginContext(provider, STATE))
    assert not set(again.private.values()) & set(begun.private.values())
    provider.spec.oidc.scopes.extend(["openid", "custom"])
    begun = await world.of(provider).begin(LoginContext(provider, STATE))
    assert parse_qs(urlsplit(begun.url).query)["scope"] == ["openid custom"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384"])
async def test_algorithms(
    world: World, liar: Rogue, provider: core.IdentityProvider, algorithm: str
) -> None:
    liar.algorithm = algorithm
    liar.rotate(algorithm)
    digest = hashlib.new("sha384" if algorithm == "ES384" else "sha256", b"at").digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    liar.claims["at_hash"] = half
    assert (await finish(world, liar, provider)).identifier == "alice@example.com"
    liar.claims["at_hash"] = half[:-1]
    assert "another access token" in await problem(world, liar, provider)
    liar.claims["at_hash"] = 7
    assert "another access token" in await problem(world, liar, provider)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "n" * 22}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["n"]}, "nonce"),
        ({"aud": "other"}, "audience is"),
        ({"aud": ["other"]}, "audience is"),
        ({"aud": ["octelium", "other"]}, "another client"),
        ({"aud": ["octelium", "other"], "azp": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"azp": None, "aud": []}, "audience is"),
        ({"iss": "https://example.com"}, "another issuer"),
        ({"exp": 1_000_000_000}, "expired"),
        ({"exp": None}, "never expires"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_300}, "future"),
        ({"nbf": 4_000_000_000}, "future"),
        ({"sub": ""}, "no subject"),
        ({"email": ""}, "no claim 'email'"),
        ({"email": None}, "no claim 'email'"),
        ({"email": ["a@b"]}, "no claim 'email'"),
        ({"email": {"a": "b"}}, "no claim 'email'"),
    ],
)
async def test_id_tokens_that_prove_nothing(
    world: World, liar: Rogue, provider: core.IdentityProvider, claims: dict[str, Any], why: str
) -> None:
    assert await finish(world, liar, provider)
    liar.claims |= claims
    assert why in await problem(world, liar, provider)


async def test_several_audiences_with_the_client_as_the_party(
    world: World, liar: Rogue, provider: core.IdentityProvider
) -> None:
    liar.claims |= {"aud": ["octelium", "other"], "azp": "octelium"}
    assert await finish(world, liar, provider)


async def test_a_token_of_another_login(
    world: World, liar: Rogue, provider: core.IdentityProvider
) -> None:
    """Somebody's code in somebody else's browser: the nonce tells."""
    login = LoginContext(provider, STATE)
    mine = await world.of(provider).begin(login)
    theirs = liar.authorize((await world.of(provider).begin(login)).url)
    assert "nonce" in await refusal(world, login, theirs, dict(mine.private))


async def test_signatures(world: World, liar: Rogue, provider: core.IdentityProvider) -> None:
    def unsigned(token: str) -> str:
        head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        return f"{head}.{token.split('.')[1]}."

    def changed(token: str) -> str:
        head, claims, signature = token.split(".")
        other = "A" if signature[10] != "A" else "B"
        return f"{head}.{claims}.{signature[:10]}{other}{signature[11:]}"

    for spoil in (unsigned, changed, lambda _: "x", lambda token: token + "." * 20000):
        liar.spoil = spoil
        assert "proves nothing" in await problem(world, liar, provider)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"id_token": None}, "no ID token"),
        ({"id_token": ["x"]}, "no ID token"),
        ({"token_type": "mac"}, "no Bearer token"),
        ({"token_type": None}, "no Bearer token"),
        ({"error": "temporarily_unavailable"}, "refuses: temporarily_unavailable"),
    ],
)
async def test_token_answers(
    world: World, liar: Rogue, provider: core.IdentityProvider, answer: dict[str, Any], why: str
) -> None:
    liar.answer |= answer
    assert why in await problem(world, liar, provider)


@pytest.mark.parametrize(
    ("methods", "is_basic"),
    [
        (None, True),
        (["client_secret_basic", "client_secret_post"], True),
        (["client_secret_post"], False),
        (["private_key_jwt", "client_secret_post", 7], False),
    ],
)
async def test_the_client_authenticates_as_the_provider_wants(
    world: World,
    liar: Rogue,
    provider: core.IdentityProvider,
    methods: list[str] | None,
    is_basic: bool,
) -> None:
    if methods is not None:
        liar.document["token_endpoint_auth_methods_supported"] = methods
    assert await finish(world, liar, provider)
    (request,) = (sent for sent in liar.server.requests if sent.path == "/token")
    if is_basic:
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        assert pair == "octelium:s%3Aecr+et"
        assert "client_secret" not in request.form
    else:
        assert "authorization" not in request.headers
        assert (request.form["client_id"], request.form["client_secret"]) == (
            "octelium",
            "s:ecr et",
        )


async def test_no_common_way_to_authenticate(
    world: World, liar: Rogue, provider: core.IdentityProvider
) -> None:
    liar.document["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
    assert "takes clients neither" in await problem(world, liar, provider)
    assert not liar.server.count("/token")


async def test_user_info(world: World, liar: Rogue, provider: core.IdentityProvider) -> None:
    provider.spec.oidc.use_user_info_endpoint = True
    liar.claims |= {"amr": ["pwd"], "acr": "1", "team": "a"}
    protected = {
        "iss": "https://x", "aud": "x", "exp": 1, "iat": 1, "nbf": 1, "nonce": "x", "azp": "x",
        "auth_time": 1, "acr": "9", "amr": ["mfa"],
    }  # fmt: skip
    told = {"sub": "alice", "email": "al@example.com", "team": "b", **protected}
    liar.told = Response.json(told)
    verified = await finish(world, liar, provider)
    assert verified.identifier == "al@example.com"
    assert verified.claims["team"] == "b"
    assert (verified.claims["amr"], verified.claims["acr"]) == (["pwd"], "1")
    assert not any(verified.claims.get(name) == value for name, value in protected.items())
    (request,) = (sent for sent in liar.server.requests if sent.path == "/me")
    assert request.headers["authorization"] == "Bearer at"


@pytest.mark.parametrize(
    ("own", "told", "email", "verified"),
    [
        (("a@x.test", True), ("b@x.test", None), "b@x.test", None),
        (("a@x.test", True), ("b@x.test", False), "b@x.test", False),
        (("a@x.test", False), ("b@x.test", True), "b@x.test", True),
        (("a@x.test", False), (None, True), "a@x.test", False),
        (("a@x.test", None), (None, True), "a@x.test", None),
        (("a@x.test", True), ("a@x.test", None), "a@x.test", True),
        (("a@x.test", True), (None, None), "a@x.test", True),
    ],
)
async def test_an_address_and_the_word_for_it_come_from_one_source(
    world: World,
    liar: Rogue,
    provider: core.IdentityProvider,
    own: tuple[str | None, bool | None],
    told: tuple[str | None, bool | None],
    email: str,
    verified: bool | None,
) -> None:
    provider.spec.oidc.use_user_info_endpoint = True
    told_claims: dict[str, Any] = {"sub": "alice"}
    for claims, source in ((liar.claims, own), (told_claims, told)):
        for name, value in zip(("email", "email_verified"), source, strict=True):
            claims.pop(name, None)
            if value is not None:
                claims[name] = value
    liar.told = Response.json(told_claims)
    found = await finish(world, liar, provider)
    assert (found.email, found.email_verified) == (email, verified)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Response.json({"sub": "bob", "email": "bob@example.com"}), "somebody else"),
        (Response.json({"email": "bob@example.com"}), "somebody else"),
        (Response.json({"sub": ["alice"]}), "somebody else"),
        (Response.json([]), "no JSON object"),
        (Response(b"eyJ.eyJ.sig", headers={"Content-Type": "application/jwt"}), "no JSON object"),
        (Response.json({"sub": "alice"}, 401), "answers 401"),
        (Response.redirect("https://example.com/me"), "another origin"),
        (Response(b'{"sub": "alice", "x": NaN}'), "no JSON object"),
        (Response(b" " * (300 << 10)), "more than"),
    ],
)
async def test_user_info_that_is_none(
    world: World, liar: Rogue, provider: core.IdentityProvider, told: Response, why: str
) -> None:
    provider.spec.oidc.use_user_info_endpoint = True
    liar.told = told
    assert why in await problem(world, liar, provider)


@pytest.mark.parametrize(
    ("value", "verified"),
    [(True, True), ("true", True), (False, False), ("false", False), (1, None), ("yes", None)],
)
async def test_who_says_that_an_address_is_verified(
    world: World, liar: Rogue, provider: core.IdentityProvider, value: Any, verified: bool | None
) -> None:
    liar.claims["email_verified"] = value
    assert (await finish(world, liar, provider)).email_verified is verified
    provider.spec.oidc.check_email_verified = True
    if verified:
        assert await finish(world, liar, provider)
    else:
        assert "verified the e-mail" in await problem(world, liar, provider)


async def test_a_provider_that_cannot_be_used(
    world: World, liar: Rogue, provider: core.IdentityProvider
) -> None:
    del liar.document["token_endpoint"]
    with pytest.raises(ProviderUnavailableError, match="no endpoints for logins"):
        await world.of(provider).begin(LoginContext(provider, STATE))
    provider.spec.oidc.issuer_url = "https://localhost:1"
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        await world.of(provider).begin(LoginContext(provider, STATE))


async def test_endpoints_on_this_machine_belong_to_issuers_on_it(
    world: World, liar: Rogue, provider: core.IdentityProvider
) -> None:
    """A provider elsewhere cannot have this machine's own servers asked."""

    def moved(_request: Request) -> Response:
        return Response.json({**liar.document, "token_endpoint": "https://169.254.169.254/token"})

    liar.server.routes["/.well-known/openid-configuration"] = moved
    assert "their own secrets" in await problem(world, liar, provider)
