"""Who an e-mail address or an identifier stands for: those who have exactly this one.

An address or identifier matches code point by code point, and only if it is one address, printable,
and not called unverified by the provider (OpenID Connect Core 1.0 section 5.1). Nothing is folded:
not case (RFC 5321 section 2.4 lets local parts differ by it), not IDNA spellings of a domain (RFC
5891), not a dot at its end, not forms of Unicode (UAX #15), not letters that look alike (UTS #39).
The address of a User is ASCII in lower case. So that nobody is mistaken for somebody else, no
second User can have an address or identifier that differs from another's by case, accents or dots
alone.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import grpc
import pytest

from tests.e2e.cluster import DOMAIN
from tests.security.lab import Lab, person
from tests.security.visitor import Visitor, gives_nothing, onward

ANN = "ann@example.com"
BUECHER = "zoë@bücher.example"
VARIANTS = {
    "upper case": "ANN@example.com",
    "a capital": "Ann@example.com",
    "a capital in the domain": "ann@Example.com",
    "a dot at the end": "ann@example.com.",
    "a dot within": "a.nn@example.com",
    "a tag": "ann+x@example.com",
    "a Cyrillic letter": "\u0430nn@example.com",
    "a Cyrillic letter in the domain": "ann@ex\u0430mple.com",
    "full-width letters": "\uff41nn@example.com",
    "a full-width dot": "ann@example\uff0ecom",
    "an ideographic dot": "ann@example\u3002com",
    "a full-width at": "ann\uff20example.com",
    "an accent": "\u00e1nn@example.com",
    "a soft hyphen": "an\u00adn@example.com",
    "a zero-width space": "ann\u200b@example.com",
    "a text direction": "\u202eann@example.com",
    "a ligature": "ann@e\ufb03ample.com",
    "a Turkish i": "ann@examp\u0131e.com",
    "a blank": " ann@example.com",
    "a line end": "ann@example.com\n",
    "a zero byte": "ann@example.com\x00",
    "two addresses": "ann@example.com,eve@evil.test",
    "two at signs": "ann@example.com@evil.test",
    "two at signs, turned round": "ann@evil.test@example.com",
    "a name beside it": "Ann <ann@example.com>",
    "quotation marks": '"ann"@example.com',
    "a comment": "ann(x)@example.com",
    "a route": "<@evil.test:ann@example.com>",
    "another top-level domain": "ann@example.com.evil.test",
}


def sign_in(lab: Lab, visitor: Visitor, name: str = "liar", **claims: Any) -> Any:
    peer = {"liar": lab.liar, "strict": lab.strict}[name]
    peer.claims = claims
    return visitor.come_back(peer.authorize(visitor.begin(lab.uid(name))))


@pytest.fixture(scope="session", autouse=True)
def namesakes(lab: Lab) -> None:
    lab.create(person("zoe", identities={"liar": BUECHER}))
    lab.create(person("yan", "yan@xn--bcher-kva.example"))


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_an_address_are_other_people(lab: Lab, name: str) -> None:
    visitor = lab.visitor()
    with lab.refused(visitor, ""):
        response = sign_in(lab, visitor, email=VARIANTS[name], email_verified=True)
        gives_nothing(response)
        assert response.headers["location"] == lab.cluster.url("", "/login?error=refused")


@pytest.mark.parametrize(
    "other",
    [
        "zoë@xn--bcher-kva.example",
        "zoe@bücher.example",
        "zoë@bucher.example",
        "zoë@buecher.example",
        "ZOË@bücher.example",
        unicodedata.normalize("NFD", BUECHER),
        unicodedata.normalize("NFD", "zoë") + "@bücher.example",
        "yan@bücher.example",
        "yan@XN--BCHER-KVA.example",
    ],
)
def test_spellings_of_other_scripts(lab: Lab, other: str) -> None:
    visitor = lab.visitor()
    with lab.refused(visitor, "no User has the identity"):
        gives_nothing(sign_in(lab, visitor, email=other, email_verified=True))


@pytest.mark.parametrize(
    ("email", "user"), [(ANN, "ann"), (BUECHER, "zoe"), ("yan@xn--bcher-kva.example", "yan")]
)
def test_the_same_address_is_the_same_person(lab: Lab, email: str, user: str) -> None:
    visitor = lab.visitor()
    sign_in(lab, visitor, email=email, email_verified=True)
    assert user in visitor.get(lab.cluster.url("portal")).text


@pytest.mark.parametrize(
    ("provider", "claims", "why"),
    [
        ("liar", {"email_verified": False}, "has not verified the address"),
        ("liar", {"email_verified": "false"}, "has not verified the address"),
        ("strict", {"email_verified": False}, "verified the e-mail address"),
        ("strict", {"email_verified": "false"}, "verified the e-mail address"),
        ("strict", {"email_verified": "yes"}, "verified the e-mail address"),
        ("strict", {"email_verified": 1}, "verified the e-mail address"),
        ("strict", {}, "verified the e-mail address"),
    ],
)
def test_addresses_that_were_not_verified(
    lab: Lab, provider: str, claims: dict[str, Any], why: str
) -> None:
    visitor = lab.visitor()
    with lab.refused(visitor, why):
        gives_nothing(sign_in(lab, visitor, provider, email=ANN, **claims))


@pytest.mark.parametrize("email", [["ann@example.com"], {"a": 1}, 7, None, "", True])
def test_addresses_that_are_no_texts(lab: Lab, email: Any) -> None:
    visitor = lab.visitor()
    with lab.refused(visitor, "no claim 'email' that is a text"):
        gives_nothing(sign_in(lab, visitor, email=email))


def test_identifiers_are_exact_too(lab: Lab) -> None:
    """At GitHub, where login names differ by case for nobody but are spelled in one way."""
    for name in ("Ann", "ANN", "ann-", "\u0430nn"):
        lab.hub.add(name)
        visitor = lab.visitor()
        landing = lab.walk(visitor.begin(lab.uid("hub")), login=name)
        with lab.refused(visitor, "no User has the identity"):
            gives_nothing(visitor.come_back(landing.parameters))


def test_addresses_of_github_that_are_not_verified(lab: Lab) -> None:
    lab.hub.add("mallory", {"email": ANN, "primary": True, "verified": False})
    visitor = lab.visitor()
    landing = lab.walk(visitor.begin(lab.uid("hub")), login="mallory")
    with lab.refused(visitor, "no User has the identity"):
        gives_nothing(visitor.come_back(landing.parameters))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (person("ann-2", "ANN@example.com"), "is not in lower case"),
        (person("ann-2", "ann@Example.com"), "is not in lower case"),
        (person("ann-2", "ánn@example.com"), "is not an e-mail address"),
        (person("ann-2", "ann@example.com."), "is not an e-mail address"),
        (person("ann-2", "ann@example.com@evil.test"), "is not an e-mail address"),
        (person("ann-2", ANN), "belongs to the User 'ann'"),
        (person("ann-2", "ann.example@com"), "belongs to the User 'ann'"),
        (person("ann-2", identities={"corp": "ANN"}), "belongs to the User 'ann'"),
        (person("ann-2", identities={"corp": "ánn"}), "belongs to the User 'ann'"),
        (
            person("zoe-2", identities={"liar": unicodedata.normalize("NFD", BUECHER)}),
            "belongs to the User 'zoe'",
        ),
    ],
)
def test_no_second_user_is_that_near(lab: Lab, document: dict[str, Any], why: str) -> None:
    before = lab.state
    with pytest.raises(grpc.RpcError) as caught:
        lab.create(document)
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert why in error.details()
    assert lab.state == before


@pytest.mark.parametrize(
    "host",
    [
        DOMAIN.upper(),
        f"{DOMAIN}.",
        DOMAIN.replace("o", "\uff4f", 1).encode("idna").decode(),
        f"Demo-NginX.{DOMAIN}",
        f"demo-nginx.{DOMAIN}.",
    ],
)
def test_names_of_hosts_mean_one_service(lab: Lab, host: str) -> None:
    """Case, a dot at the end and IDNA spellings of a host are folded before anything is decided."""
    nobody = lab.visitor()
    wanted = host.lower().rstrip(".")
    port = lab.cluster.port
    response = nobody.get("/", Host=f"{host}:{port}")
    if response.status_code == 421:  # refused is fine: another server may be meant
        return
    same = nobody.get(f"https://{wanted}:{port}/")
    assert response.status_code == same.status_code
    assert response.headers.get("location") == same.headers.get("location")


def test_a_provider_page_is_left_with_the_address_that_it_has(lab: Lab) -> None:
    """Nothing that a person wrote is repeated on the way to a provider."""
    visitor = lab.visitor()
    page = visitor.post("/begin", {"uid": lab.uid("liar"), "email": "somebody@example.com"})
    assert "somebody" not in onward(page)
