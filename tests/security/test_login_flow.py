"""Logins that end in another browser, twice, or at another provider than they began at.

Login CSRF and session fixation (RFC 9700 sections 4.5 and 4.7), mixed-up providers (section 4.4).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from octelium.authserver.login_states import new_id
from tests.e2e.cluster import DOMAIN
from tests.peers import saml
from tests.security.visitor import ACCESS, AGENT, REFRESH, STATE, Visitor, gives_nothing

if TYPE_CHECKING:
    from tests.peers.walking import Landing
    from tests.security.lab import Lab

NOT_YOURS = "the login is not this browser's, has ended before, or took too long"


def at_corp(lab: Lab, visitor: Visitor, name: str = "ann") -> Landing:
    """How a browser comes back from npm's `oidc-provider`."""
    return lab.walk(visitor.begin(lab.uid("corp")), login=name, password="any")


def at_okta(lab: Lab, visitor: Visitor, name: str = "ann") -> Landing:
    """How a browser comes back from SimpleSAMLphp."""
    url = visitor.begin(lab.uid("okta"))
    return lab.walk(url, username=name, password=saml.PASSWORD)


def at_hub(lab: Lab, visitor: Visitor, name: str = "ann") -> Landing:
    """How a browser comes back from GitHub."""
    return lab.walk(visitor.begin(lab.uid("hub")), login=name)


@pytest.mark.parametrize("provider", [at_corp, at_okta, at_hub])
def test_a_callback_counts_once_and_in_its_own_browser(lab: Lab, provider: type) -> None:
    victim, thief = lab.visitor(), lab.visitor()
    landing = provider(lab, victim)
    posted = landing.method == "POST"
    thief.begin(lab.uid("corp"))
    for cookies in ({}, dict(thief.cookies)):
        thief.cookies = dict(cookies)
        with lab.refused(thief, NOT_YOURS):
            gives_nothing(thief.come_back(landing.parameters, posted=posted))
    assert victim.come_back(landing.parameters, posted=posted).status_code == 303
    assert victim.opens()
    with lab.refused(victim, NOT_YOURS):
        gives_nothing(victim.come_back(landing.parameters, posted=posted))
    assert victim.opens()


def test_states_that_are_none(lab: Lab) -> None:
    """Whatever comes back, only a state that was given out to this browser ends a login."""
    visitor = lab.visitor()
    good = lab.liar.authorize(visitor.begin(lab.uid("liar")))
    state = visitor.cookies[STATE]
    cases = [
        ({"code": "x"}, state),
        ({**good, "state": new_id()}, state),
        ({**good, "state": state.swapcase()}, state),
        ({**good, "state": f"{state} "}, state),
        (good, new_id()),
        (good, f"{state}, {state}"),
        (good, f'"{state}"'),
        (good, f"{state}; {STATE}={new_id()}"),
        (good, f"{new_id()}; {STATE}={state}"),
    ]
    for parameters, cookie in cases:
        visitor.cookies[STATE] = cookie
        with lab.refused(visitor, NOT_YOURS):
            gives_nothing(visitor.come_back(parameters, keep=False))
    visitor.cookies[STATE] = state
    lab.liar.claims = {"email": "ann@example.com"}
    visitor.come_back(good)
    assert visitor.is_signed_in


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("code=x&state={0}&state={0}", "more than once"),
        ("code=x&state={0};state={0}", "more than once"),
        ("code=x|&state={0}", "must be escaped"),
        ("code=%ff&state={0}", "not UTF-8"),
        ("code=%&state={0}", "broken escape"),
        ("code&state={0}", "not NAME=VALUE"),
    ],
)
def test_callbacks_with_two_readings(lab: Lab, query: str, why: str) -> None:
    visitor = lab.visitor()
    visitor.begin(lab.uid("liar"))
    with lab.refused(visitor, why):
        gives_nothing(visitor.get(f"/callback?{query.format(visitor.cookies[STATE])}"))


def test_a_state_that_a_page_of_a_service_planted(lab: Lab) -> None:
    """It can set cookies for the whole domain: none of those counts."""
    eve, victim = lab.visitor(), lab.visitor()
    landing = at_corp(lab, eve, "eve")
    victim.cookies = {STATE.removeprefix("__Host-"): eve.cookies[STATE]}
    with lab.refused(victim, NOT_YOURS):
        gives_nothing(victim.come_back(landing.parameters))


def test_a_session_that_somebody_else_planted(lab: Lab) -> None:
    """Signing in with another's cookies makes a Session of one's own, with new tokens."""
    eve = lab.visitor()
    lab.sign_in(eve, email="eve@example.com")
    before = {name: value for name, value in lab.state.items() if name.startswith("Session")}
    victim = lab.visitor()
    victim.cookies = dict(eve.cookies)
    lab.sign_in(victim, email="ann@example.com")
    assert victim.cookies[REFRESH] != eve.cookies[REFRESH]
    assert victim.cookies[ACCESS] != eve.cookies[ACCESS]
    after = {name: value for name, value in lab.state.items() if name.startswith("Session")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    assert ">eve<" in eve.get(lab.cluster.url("portal")).text
    assert ">ann<" not in eve.get(lab.cluster.url("portal")).text
    assert ">ann<" in victim.get(lab.cluster.url("portal")).text


def test_tokens_from_before_a_login_are_dead_after_it(lab: Lab) -> None:
    ann = lab.as_ann()
    old = replace(ann, cookies=dict(ann.cookies))
    assert old.opens()
    stolen = replace(lab.visitor(), cookies=dict(ann.cookies))
    assert not stolen.opens()  # from another address
    lab.sign_in(ann, email="ann@example.com")
    assert ann.opens()
    assert not old.opens()
    page = old.get("/authenticators")
    assert (page.status_code, page.headers["location"]) == (303, lab.cluster.url("", "/login"))


def test_codes_of_other_logins(lab: Lab) -> None:
    """Whoever has another's code cannot redeem it: it belongs to a secret of its own login."""
    for provider, told in ((at_corp, "invalid_grant"), (at_hub, "bad_verification_code")):
        victim, thief = lab.visitor(), lab.visitor()
        stolen = provider(lab, victim).parameters
        thief.begin(lab.uid({at_corp: "corp", at_hub: "hub"}[provider]))
        with lab.refused(thief, told):
            gives_nothing(thief.come_back({**stolen, "state": thief.cookies[STATE]}))


def test_a_saml_response_of_another_login(lab: Lab) -> None:
    victim, thief = lab.visitor(), lab.visitor()
    stolen = at_okta(lab, victim).parameters
    thief.begin(lab.uid("okta"))
    with lab.refused(thief, "the response answers another request"):
        replayed = {**stolen, "RelayState": thief.cookies[STATE]}
        gives_nothing(thief.come_back(replayed, posted=True))


def test_answers_of_another_provider(lab: Lab) -> None:
    """A provider that sends people on to another one gets none of its codes (RFC 9207)."""
    visitor = lab.visitor()
    honest = at_corp(lab, visitor).parameters
    assert honest["iss"] == lab.corp.issuer
    before = lab.liar.server.count("/token")
    visitor.begin(lab.uid("liar"))
    with lab.refused(visitor, "the answer is from another issuer"):
        gives_nothing(visitor.come_back({**honest, "state": visitor.cookies[STATE]}))
    assert lab.liar.server.count("/token") == before
    visitor.begin(lab.uid("corp"))
    with lab.refused(visitor, "does not say which issuer it is from"):
        gives_nothing(visitor.come_back({"code": "x", "state": visitor.cookies[STATE]}))


def test_tokens_of_another_provider(lab: Lab) -> None:
    for claims, why in (
        ({"iss": lab.other.url}, "of another issuer"),
        ({"aud": "somebody"}, "audience is"),
        ({"aud": ["octelium", "somebody"]}, "another client"),
        ({"nonce": "of-another-login"}, "nonce is that of another login"),
    ):
        visitor = lab.visitor()
        with lab.refused(visitor, why):
            gives_nothing(lab.sign_in(visitor, email="ann@example.com", **claims))


def test_answers_in_the_form_of_another_protocol(lab: Lab) -> None:
    saml_response = at_okta(lab, lab.visitor()).parameters["SAMLResponse"]
    visitor = lab.visitor()
    visitor.begin(lab.uid("liar"))
    with lab.refused(visitor, "came back without a code"):
        form = {"RelayState": visitor.cookies[STATE], "SAMLResponse": saml_response}
        gives_nothing(visitor.come_back(form, posted=True))
    visitor.begin(lab.uid("okta"))
    with lab.refused(visitor, "without a SAML response"):
        gives_nothing(visitor.come_back({"state": visitor.cookies[STATE], "code": "x"}))
    visitor.begin(lab.uid("okta"))
    with lab.refused(visitor, NOT_YOURS):  # each method has its own parameter
        form = {"state": visitor.cookies[STATE], "SAMLResponse": saml_response}
        gives_nothing(visitor.come_back(form, posted=True))


@pytest.mark.parametrize(
    "origin", ["https://evil.test", f"https://demo-nginx.{DOMAIN}", "null", None]
)
def test_no_other_site_begins_or_ends_anything(lab: Lab, origin: str | None) -> None:
    ann = lab.as_ann()
    with lab.refused(ann, "a page of another site asked for it"):
        gives_nothing(ann.post("/begin", {"uid": lab.uid("liar")}, origin=origin))
    with lab.refused(ann, "a page of another site asked for it"):
        headers = {"Content-Type": "application/json"} | ({"Origin": origin} if origin else {})
        body = json.dumps({"uid": lab.uid("liar"), "userAgent": AGENT})
        gives_nothing(ann.send("POST", "/begin", headers, content=body))
    with lab.refused(ann, "another site"):
        gives_nothing(ann.post("/authenticators/passkey/finish", {"response": "{}"}, origin=origin))
    with lab.refused(ann, "another site"):
        form = {"request": "x", "decision": "approve"}
        gives_nothing(ann.post("/callback/success/approval", form, origin=origin))
    with lab.refused(ann, "another site"):
        form = {"user_code": "BCDFGHJK", "decision": "approve"}
        gives_nothing(ann.post("/device", form, origin=origin))
    assert ann.opens()


def test_a_provider_that_is_gone_or_switched_off(lab: Lab) -> None:
    visitor = lab.visitor()
    for uid in (lab.uid("k8s"), "00000000-0000-0000-0000-000000000000", "", "liar"):
        with lab.refused(visitor, "nobody signs in by this IdentityProvider"):
            gives_nothing(visitor.post("/begin", {"uid": uid}))
