from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.policy.narration import Line, Tone
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.test_pages import ESCAPED, EVIL, check_headers
from tests.authserver.walk import Browser, prepare

if TYPE_CHECKING:
    from tests.authserver.browser import Host

ENTRY = "abcd-efgh-24-0000-000z"
WHY = f"/denied/why?id={ENTRY}"
STORY = [
    Line(0, f"No rule lets you open {EVIL}."),
    Line(0, "Refused: no policy allows it.", Tone.BAD),
    Line(0, ""),
    Line(1, f"a rule {EVIL}", Tone.DIM),
]


@pytest.fixture(name="told")
def told_fixture(host: Host) -> Host:
    """A host that tells the holder of the token `good` about one entry."""
    host.reasons.known["good", ENTRY] = STORY
    return host


async def test_what_is_told_without_an_id(host: Host) -> None:
    response = await host.client.get("/denied")
    assert response.status_code == 403
    assert "policies" in response.text
    assert "Why?" not in response.text
    assert host.reasons.asked == []


async def test_the_way_to_the_reason(host: Host) -> None:
    response = await host.client.get(f"/denied?id={ENTRY}")
    assert response.status_code == 403
    assert f'href="https://example.com{WHY}">Why?</a>' in response.text
    assert 'class="button quiet"' in response.text
    assert f"octeliumctl policy explain --log {ENTRY}" in response.text
    check_headers(response)
    assert host.reasons.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": "octelium_auth=good"},
        {"cookie": "a=b; octelium_auth=good; c=d"},
        {"authorization": "Bearer good"},
        {"x-octelium-auth": "good"},
    ],
)
async def test_the_reason(told: Host, headers: dict[str, str]) -> None:
    sent = {**headers, "x-octelium-client-address": "192.0.2.1"}
    response = await told.client.get(WHY, headers=sent)
    assert response.status_code == 200
    check_headers(response)
    assert f"<h1>Why</h1>\n<p>No rule lets you open {ESCAPED}.</p>\n<details>" in response.text
    assert '<p class="bad level-0">Refused: no policy allows it.</p>' in response.text
    assert f'<p class="dim level-1">a rule {ESCAPED}</p>' in response.text
    assert told.reasons.asked == [("good", ENTRY, "192.0.2.1")]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (WHY, {}),
        (WHY, {"cookie": "octelium_auth=bad"}),
        (WHY, {"cookie": "octelium_auth="}),
        (WHY, {"cookie": "octelium_rt=good"}),
        (WHY, {"authorization": "Basic good"}),
        (WHY, {"authorization": "bearer good"}),
        # A wrong token in an earlier place is not skipped.
        (WHY, {"x-octelium-auth": "bad", "cookie": "octelium_auth=good"}),
        ("/denied/why", {"authorization": "Bearer good"}),
        ("/denied/why?id=", {"authorization": "Bearer good"}),
        ("/denied/why?id=zzzz-zzzz-24-0000-0000", {"authorization": "Bearer good"}),
        (f"{WHY}&id={ENTRY}", {"authorization": "Bearer good"}),
        (f"/denied/why?id={ENTRY}%0a", {"authorization": "Bearer good"}),
        (f"/denied/why?ID={ENTRY}", {"authorization": "Bearer good"}),
    ],
)
async def test_others_learn_nothing(told: Host, path: str, headers: dict[str, str]) -> None:
    response = await told.client.get(path, headers=headers)
    assert response.status_code == 404
    check_headers(response)
    nothing = await told.client.get("/denied/why?id=zzzz-zzzz-24-0000-0000")
    assert _body(response.text) == _body(nothing.text)


def _body(html: str) -> str:
    return html.partition("<main>")[2]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(text=st.text(max_size=40) | st.from_regex(r"[a-z0-9-]{4}(-[a-z0-9]{0,4}){1,5}"))
async def test_what_is_no_id_is_never_repeated_or_looked_up(host: Host, text: str) -> None:
    host.reasons.asked.clear()
    sent = {"authorization": "Bearer good"}
    for path in ("/denied", "/denied/why"):
        response = await host.client.get(path, params={"id": text}, headers=sent)
        assert response.status_code in (403, 404)
        check_headers(response)
    assert all(len(entry) == 22 and entry.isascii() for _, entry, _ in host.reasons.asked)
    if not host.reasons.asked:
        assert "Why?" not in (await host.client.get("/denied", params={"id": text})).text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "BREW"])
@pytest.mark.parametrize("path", ["/denied", WHY])
async def test_the_pages_are_there_to_be_read(told: Host, method: str, path: str) -> None:
    response = await told.client.request(method, path, headers={"authorization": "Bearer good"})
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("rejected", "Your Session was rejected by an administrator"),
        ("locked", "Your Session was rejected by an administrator"),
        ("disabled", "Your access is switched off at present"),
    ],
)
async def test_who_is_shut_out_is_told_so(host: Host, how: str, told: str) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    session = browser.session()
    assert session is not None
    session = host.cluster.get(session)
    user = host.cluster.resources.get(core.User, uid=session.status.user_ref.uid)
    if how == "rejected":
        session.spec.state = core.SessionSpecState__.REJECTED
    elif how == "locked":
        session.status.is_locked = True
    else:
        user.spec.is_disabled = True
    await host.cluster.change(user if how == "disabled" else session)
    response = await browser.get("/denied")
    assert response.status_code == 403
    assert told in response.text
    assert "policies" not in response.text
    assert "portal.example.com" not in response.text


async def test_who_waits_for_approval_sees_the_waiting_page(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    session = browser.session()
    assert session is not None
    session = host.cluster.get(session)
    session.spec.state = core.SessionSpecState__.PENDING
    await host.cluster.change(session)
    response = await browser.get("/denied")
    assert response.headers["location"] == "https://example.com/login"
    assert "wait for approval" in (await browser.get("/login")).text
