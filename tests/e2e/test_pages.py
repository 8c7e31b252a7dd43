"""Every page that the Cluster serves, in every state: pictures, and what axe-core finds there.

Pages of security keys and authenticator apps are in `test_authenticators.py` too.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.documents import credential
from tests.e2e.test_web_login import client_request
from tests.e2e.ways import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Page

    from tests.e2e.ways import Visitors

_EFFECTS = core.ClusterConfigSpecAuthenticatorEnforcementRuleEffect__
_EFFECT = _EFFECTS.ClusterConfigSpecAuthenticatorEnforcementRuleEffect
ERRORS = ("passkey", "provider", "unavailable")
"""Some of the words that the login page knows; others are in `test_web_login.py`."""


@contextmanager
def disabled(visitors: Visitors, names: Sequence[str]) -> Iterator[None]:
    """For a while nobody can sign in at these IdentityProviders."""
    api = visitors.ways.cluster.api()

    def change(is_disabled: bool) -> None:
        for name in names:
            provider = api.core("GetIdentityProvider", meta.GetOptions(name=name))
            provider.spec.is_disabled = is_disabled
            api.core("UpdateIdentityProvider", provider)

    change(True)
    try:
        yield
    finally:
        change(False)


@contextmanager
def staying(page: Page, path: str) -> Iterator[None]:
    """Pages below `path` that lead on at once stay, to be looked at."""
    devtools = page.context.new_cdp_session(page)

    def stay(paused: dict[str, Any]) -> None:
        headers = [each for each in paused["responseHeaders"] if each["name"].lower() != "refresh"]
        told = {
            "requestId": paused["requestId"],
            "responseCode": paused["responseStatusCode"],
            "responseHeaders": headers,
        }
        devtools.send("Fetch.continueResponse", told)

    devtools.on("Fetch.requestPaused", stay)
    pattern = {"urlPattern": f"*{path}", "requestStage": "Response"}
    devtools.send("Fetch.enable", {"patterns": [pattern]})
    try:
        yield
    finally:
        devtools.send("Fetch.disable")
        devtools.detach()


def post(page: Page, url: str, fields: dict[str, str] | None = None) -> None:
    """Have the page that is open post a form."""
    page.evaluate(
        """([url, fields]) => {
            const form = document.createElement('form');
            Object.assign(form, {method: 'post', action: url});
            for (const [name, value] of Object.entries(fields)) {
                const input = document.createElement('input');
                Object.assign(input, {type: 'hidden', name, value});
                form.append(input);
            }
            document.body.append(form);
            form.submit();
        }""",
        [url, fields or {}],
    )


def test_signing_in(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    with visitors.visitor() as page:
        page.goto(cluster.url("diary"))
        album.take(page, "login-3")
        for code in ERRORS:
            page.goto(cluster.url("", f"/login?error={code}"))
            album.take(page, f"login-error-{code}")
        page.goto(cluster.url("", "/login"))
        with staying(page, "/begin"):
            page.get_by_role("button", name="Continue with Okta").click()
            page.get_by_role("heading", name="On to Okta").wait_for()
            album.take(page, "onward")
        for count in (1, 0):
            with disabled(visitors, PROVIDERS[count:]):
                page.goto(cluster.url("", "/login"))
                assert page.get_by_role("button", name="Continue").count() == count
                album.take(page, f"login-{count}")


def test_signing_in_with_many_providers(visitors: Visitors) -> None:
    ways = visitors.ways
    names = [f"more-{number}" for number in range(7)]
    more = [
        {
            "kind": "IdentityProvider",
            "metadata": {"name": name},
            "spec": {
                "displayName": f"University of <b>{name * 8}</b>"[:100],
                "saml": {"metadataURL": ways.saml.metadata_url, "entityID": "https://x.example"},
            },
        }
        for name in names
    ]
    ways.cluster.apply(*more)
    with visitors.visitor() as page:
        page.goto(ways.cluster.url("", "/login"))
        assert page.get_by_role("button", name="Continue with").count() == 10
        assert page.locator("main b").count() == 0
        visitors.album.take(page, "login-10")
    api = ways.cluster.api()
    for name in names:
        api.core("DeleteIdentityProvider", meta.DeleteOptions(name=name))


def test_the_portal(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    with visitors.visitor() as page:
        visitors.sign_in(page, "cat")
        page.wait_for_url(cluster.url("portal"))
        page.get_by_text("No Service is open to you yet").wait_for()
        album.take(page, "portal-0")
        post(page, cluster.url("portal", "/nothing"))
        page.get_by_role("heading", name="There is nothing here").wait_for()
        assert page.get_by_role("link", name="To the Portal").is_visible()
        album.take(page, "nothing")


def test_the_portal_of_somebody_with_much(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    with visitors.visitor() as page:
        visitors.sign_in(page, "dan")
        page.wait_for_url(cluster.url("portal"))
        assert page.get_by_role("listitem").count() == 40
        album.take(page, "portal-40")
        page.get_by_label("Find a Service").fill("application 17")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("q=application"))
        assert page.get_by_role("listitem").count() == 1
        album.take(page, "portal-found")
        page.goto(cluster.url("portal", "/?q=zebra"))
        album.take(page, "portal-not-found")


def test_the_account(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    register_device(visitors)
    with visitors.visitor() as page:
        visitors.sign_in(page, "ann")
        page.goto(cluster.url("portal", "/account"))
        page.get_by_text("laptop").wait_for()
        assert page.get_by_text("by Example Corp").count() > 0
        album.take(page, "account-devices")
        # A form that did not come from here: its token is missing.
        post(page, cluster.url("portal", "/account"), {"what": "others"})
        page.get_by_role("alert").wait_for()
        album.take(page, "account-failed")
        page.get_by_role("button", name="End all other Sessions").click()
        page.wait_for_url(re.compile("done=others-ended"))
        assert page.get_by_role("button", name="End the Session").count() == 0
        album.take(page, "account-one")


def register_device(visitors: Visitors) -> None:
    """Ann has a client on a computer of hers."""
    cluster = visitors.ways.cluster
    cluster.apply(credential("ann-laptop", "ann", "AUTH_TOKEN", sessionType="CLIENT"))
    admin = cluster.api()
    made = admin.core(
        "GenerateCredentialToken",
        core.GenerateCredentialTokenRequest(credential_ref=meta.ObjectReference(name="ann-laptop")),
    )
    client = cluster.api(token=made.authentication_token.authentication_token)
    info = auth.RegisterDeviceRequestInfo(
        os_type=auth.RegisterDeviceRequestInfoOsType__.LINUX, id="a" * 64, hostname="laptop"
    )
    request = auth.RegisterDeviceRequest(info=info)
    client.call(auth, "RegisterDevice", request, x_octelium_refresh_token=client.refresh_token)


def test_what_one_may_not_open(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    with visitors.visitor() as page:
        visitors.sign_in(page, "ben")
        page.goto(cluster.url("diary"))
        page.get_by_role("heading", name="You may not open this").wait_for()
        album.take(page, "denied-why")
        page.get_by_role("link", name="Why?").click()
        page.get_by_role("heading", name="Why").wait_for()
        album.take(page, "why")
        page.goto(cluster.url("demo-nginx"))
        album.take(page, "demo")
        # From a page of the Service itself, such as one that was opened before a Policy changed.
        form = cluster.url("diary", "/form")
        page.route(form, lambda route: route.fulfill(content_type="text/html", body="A form"))
        page.goto(form)
        post(page, cluster.url("diary"), {"text": "Dear diary"})
        page.get_by_text("The policies of this Cluster do not allow this request").wait_for()
        album.take(page, "refused-by-the-proxy")


def test_a_command_line(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    path = f"/login?octelium_req={client_request(12345, b'v' * 32)}"
    with visitors.visitor() as page:
        visitors.sign_in(page, "ann", path)
        page.wait_for_url(re.compile("/approval$"))
        page.get_by_role("button", name="Deny").click()
        page.get_by_role("heading", name="Not let in").wait_for()
        album.take(page, "approval-denied")
        page.goto(cluster.url("", "/callback/success/approval"))
        album.take(page, "approval-nothing")
        page.goto(cluster.url("", path))
        page.wait_for_url(re.compile("/approval$"))
        with staying(page, "/approval"):
            page.get_by_role("button", name="Allow").click()
            page.get_by_role("heading", name="The command line goes on").wait_for()
            album.take(page, "approval-done")
        page.goto(cluster.url("", "/device?user_code=BCDF-GHJK"))
        page.get_by_role("alert").wait_for()
        album.take(page, "device-wrong")


def test_a_machine_that_is_not_let_in(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    with cluster.http() as machine, visitors.visitor() as page:
        metadata = machine.get(cluster.url("", "/.well-known/oauth-authorization-server")).json()
        told = machine.post(
            metadata["device_authorization_endpoint"], data={"client_id": "octelium-cli"}
        ).json()
        page.goto(told["verification_uri_complete"])
        page.get_by_role("button", name="Continue with GitHub").click()
        page.fill("input[name=login]", "ann")
        page.get_by_role("button", name="Authorize").click()
        page.get_by_role("heading", name="Let this machine in?").wait_for()
        page.get_by_role("button", name="Deny").click()
        page.get_by_role("heading", name="Not let in").wait_for()
        album.take(page, "device-denied")


def test_waiting_for_approval(visitors: Visitors) -> None:
    cluster = visitors.ways.cluster
    api = cluster.api()

    def set_default(state: Any) -> None:
        person = api.core("GetUser", meta.GetOptions(name="ben"))
        person.spec.session.default_state = state
        api.core("UpdateUser", person)

    set_default(core.SessionSpecState__.PENDING)
    try:
        with visitors.visitor() as page:
            visitors.sign_in(page, "ben")
            page.get_by_role("heading", name="Please wait for approval").wait_for()
            visitors.album.take(page, "pending")
            page.get_by_role("link", name="Look again").click()
            page.get_by_role("heading", name="Please wait for approval").wait_for()
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url(re.compile("done=signed-out"))
    finally:
        set_default(core.SessionSpecState__.ACTIVE)


@contextmanager
def wanting(visitors: Visitors, effect: str) -> Iterator[None]:
    """For a while people are to register Authenticators."""
    api = visitors.ways.cluster.api()
    config = api.core("GetClusterConfig", core.GetClusterConfigRequest())
    changed = core.ClusterConfig()
    changed.CopyFrom(config)
    rule = changed.spec.authenticator.registration_enforcement_rules.add()
    rule.condition.match_any = True
    rule.effect = _EFFECT.Value(effect)
    api.core("UpdateClusterConfig", changed)
    try:
        yield
    finally:
        api.core("UpdateClusterConfig", config)


@pytest.mark.parametrize(
    ("effect", "name"), [("ENFORCE", "register-required"), ("RECOMMEND", "register-recommended")]
)
def test_whom_the_cluster_wants_to_register(visitors: Visitors, effect: str, name: str) -> None:
    with wanting(visitors, effect), visitors.visitor() as page:
        visitors.sign_in(page, "ben")
        page.get_by_role("heading", name="Register an Authenticator").wait_for()
        assert page.get_by_role("link", name="Not now").count() == (effect == "RECOMMEND")
        visitors.album.take(page, name)


def test_registering(visitors: Visitors) -> None:
    cluster, album = visitors.ways.cluster, visitors.album
    with visitors.visitor() as page:
        visitors.sign_in(page, "ben")
        page.goto(cluster.url("", "/authenticators/register"))
        album.take(page, "register")
        page.get_by_role("button", name="Authenticator app").click()
        page.get_by_label("Code that the app shows").fill("0")
        page.get_by_role("button", name="Register").click()
        page.get_by_role("alert").wait_for()
        album.take(page, "register-app-wrong")
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")  # and no security key is there
        page.goto(cluster.url("", "/authenticators"))
        page.get_by_role("button", name="Add a security key or passkey").click()
        page.get_by_text("Follow what your browser asks you to do").wait_for()
        album.take(page, "register-key")
