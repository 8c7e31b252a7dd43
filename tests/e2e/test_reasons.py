"""From a refusal to its reason: for the administrator all of it, for the refused what is theirs."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import wait_for
from tests.e2e.documents import credential, policy, rule, service

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.e2e.cluster import Api, Cluster

SECRET_RULE = 'ctx.user.spec.email == "boss@example.com" || ctx.request.http.path == "/open"'
NAMED = "x-octelium-request-id"


@pytest.fixture(scope="module")
def vault(cluster: Cluster) -> Cluster:
    """A Service that only the boss may open, and two people who are not."""
    people = [
        {"kind": "User", "metadata": {"name": name}, "spec": {"type": "HUMAN"}}
        for name in ("vault-ann", "vault-bob")
    ]
    cluster.apply(
        policy("vault-rule", rule("ALLOW", SECRET_RULE, name="the-boss")),
        *people,
        service("vault", "http://127.0.0.1:1", "vault-rule"),
        *(credential(f"{name}-token", name, "AUTH_TOKEN") for name in ("vault-ann", "vault-bob")),
    )
    return cluster


def sign_in(cluster: Cluster, name: str) -> Api:
    made = json.loads(
        cluster.ctl("create", "credential", f"{name}-token", "--rotate", "-o", "json")
    )
    return cluster.api(token=made["authenticationToken"]["authenticationToken"])


@pytest.fixture(scope="module")
def ann(vault: Cluster) -> Api:
    return sign_in(vault, "vault-ann")


@pytest.fixture(scope="module")
def bob(vault: Cluster) -> Api:
    return sign_in(vault, "vault-bob")


@pytest.fixture(scope="module")
def http(vault: Cluster) -> Iterator[httpx.Client]:
    with vault.http() as client:
        yield client


def bearer(api: Api, **fields: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.access_token}", **fields}


def explain(api: Api, **fields: object) -> ext.Explanation:
    request = ext.ExplainRequest(**fields)  # type: ignore[arg-type]  # its fields
    reply: ext.Explanation = api.call(ext, "Explain", request, x_octelium_auth=api.access_token)
    return reply


def refused(http: httpx.Client, cluster: Cluster, api: Api, path: str = "/") -> str:
    """The id of a refused request."""
    reply = http.get(cluster.url("vault", path), headers=bearer(api))
    assert reply.status_code == 403
    assert reply.content == b""
    return reply.headers[NAMED]


def test_the_administrator_sees_the_rule(vault: Cluster, http: httpx.Client, ann: Api) -> None:
    entry = refused(http, vault, ann, "/safe?pin=1234")
    told = explain(vault.api(), log_id=entry)
    assert (told.outcome, told.reason, told.user.name) == ("DENIED", "NO_POLICY_MATCH", "vault-ann")
    (found,) = [each for each in told.rules if each.name == "the-boss"]
    assert SECRET_RULE in found.condition
    values = {part.text: part.value for part in found.parts}
    assert values["ctx.request.http.path"] == '"/safe"'
    assert any("NO_POLICY_MATCH" in note for note in told.notes)
    assert "1234" not in str(told)
    out = vault.ctl("logs", "--id", entry)
    assert "the-boss" in out
    assert SECRET_RULE in out
    assert "1234" not in out


def test_what_would_have_happened(vault: Cluster, http: httpx.Client, ann: Api) -> None:
    api = vault.api()
    request = ext.ExplainRequest(service="vault", user="vault-ann")
    request.request.update({"http": {"path": "/open", "method": "GET"}})
    told = api.call(ext, "Explain", request, x_octelium_auth=api.access_token)
    assert told.outcome == "ALLOWED"
    # The upstream does not exist, so being let through shows as 502; that answer has an id too.
    reply = http.get(vault.url("vault", "/open"), headers=bearer(ann))
    assert reply.status_code == 502
    assert explain(api, log_id=reply.headers[NAMED]).outcome == "ALLOWED"


def test_the_refused_sees_what_is_hers(vault: Cluster, http: httpx.Client, ann: Api) -> None:
    entry = refused(http, vault, ann)
    told = explain(ann, log_id=entry, find_change=True)
    assert told.summary == "Refused: no policy allows it."
    assert told.hidden
    for secret in ("boss", "the-boss", "vault-rule", "path"):
        assert secret not in str(told.rules) + str(told.policies) + told.error
    assert not told.HasField("change")


def test_others_see_nothing(vault: Cluster, http: httpx.Client, ann: Api, bob: Api) -> None:
    entry = refused(http, vault, ann)
    explain(ann, log_id=entry)
    for fields in (
        {"log_id": entry},
        {"log_id": "zzzz-zzzz-24-0000-0000"},
        {"service": "vault", "user": "vault-bob"},
    ):
        with pytest.raises(grpc.RpcError) as caught:
            explain(bob, **fields)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_browser_is_led_to_the_reason(
    vault: Cluster, http: httpx.Client, ann: Api, bob: Api
) -> None:
    cookie = {"Cookie": f"octelium_auth={ann.access_token}", "Accept": "text/html"}
    reply = http.get(vault.url("vault"), headers=cookie, follow_redirects=False)
    assert reply.status_code == 303
    entry = reply.headers[NAMED]
    assert reply.headers["location"] == vault.url("", f"/denied?id={entry}")
    page = http.get(reply.headers["location"], headers=cookie)
    assert page.status_code == 403
    (link,) = re.findall(r'<a [^>]*href="([^"]+)"[^>]*>Why\?</a>', page.text)
    why = http.get(link, headers=cookie)
    assert why.status_code == 200
    assert "Refused: no policy allows it." in why.text
    assert "boss" not in why.text
    assert "default-src 'none'" in why.headers["content-security-policy"]
    # Ann's bearer token does as well; nobody else's does.
    assert http.get(link, headers=bearer(ann)).status_code == 200
    for headers in ({}, bearer(bob), {"Authorization": "Bearer x"}):
        nothing = http.get(link, headers=headers)
        assert nothing.status_code == 404
        assert "policy" not in nothing.text


def test_a_page_for_who_cannot_be_led(vault: Cluster, http: httpx.Client, ann: Api) -> None:
    reply = http.post(vault.url("vault"), headers=bearer(ann, Accept="text/html"))
    assert reply.status_code == 403
    entry = reply.headers[NAMED]
    assert f'<a href="{vault.url("", f"/denied?id={entry}")}">Why?</a>' in reply.text


def test_nobody_known_has_an_entry_too(vault: Cluster, http: httpx.Client) -> None:
    reply = http.get(vault.url("vault"))
    assert reply.status_code == 401
    told = explain(vault.api(), log_id=reply.headers[NAMED])
    assert told.outcome == "UNAUTHENTICATED"


def test_a_refused_call_names_its_entry(vault: Cluster, ann: Api) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ann.core("ListUser", core.ListUserOptions())
    trailers: Any = caught.value.trailing_metadata()
    (entry,) = [str(value) for name, value in trailers if name == NAMED]
    told = explain(vault.api(), log_id=entry)
    assert (told.outcome, told.service.name) == ("DENIED", "default.octelium-api")
    assert any("ListUser" in part.value for each in told.rules for part in each.parts)


def test_what_changed_since_is_told(vault: Cluster, http: httpx.Client, ann: Api) -> None:
    entry = refused(http, vault, ann)
    api = vault.api()
    found = api.core("GetPolicy", meta.GetOptions(name="vault-rule"))
    found.metadata.description = "changed"
    api.core("UpdatePolicy", found)
    notes = explain(api, log_id=entry).notes
    assert any("Changed since" in note and "Policy vault-rule" in note for note in notes)


def preview(cluster: Cluster, logged: int = 0) -> ext.PreviewAccessRequest:
    """What if everybody could open the vault?"""
    found = cluster.api().core("GetPolicy", meta.GetOptions(name="vault-rule"))
    found.spec.rules[0].condition.match_any = True
    return ext.PreviewAccessRequest(
        apply=ext.ApplyRequest(resources=[ext.Resource(policy=found)]), logged_requests=logged
    )


def test_what_a_change_would_do(vault: Cluster, http: httpx.Client, ann: Api) -> None:
    refused(http, vault, ann, "/elsewhere")
    api = vault.api()
    named = {"x_octelium_auth": api.access_token}
    wanted = ext.ListAccessRequest(user="vault-ann", service="vault")
    listed = api.call(ext, "ListAccess", wanted, **named)
    (pair,) = listed.items
    assert pair.verdict == ext.AccessVerdict__.DEPENDS

    def is_logged() -> Any:
        told = api.call(ext, "PreviewAccess", preview(vault, 1000), **named)
        assert any(one.path == "/elsewhere" for one in told.logged)
        return told

    told = wait_for(is_logged, 60)
    (change,) = [one for one in told.changes if one.after.user == "vault-ann"]
    assert change.before.verdict == ext.AccessVerdict__.DEPENDS
    assert change.after.verdict == ext.AccessVerdict__.ALLOWED
    # Nothing came of it.
    refused(http, vault, ann, "/elsewhere")
    for method, request in (
        ("ListAccess", ext.ListAccessRequest()),
        ("PreviewAccess", preview(vault)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            ann.call(ext, method, request, x_octelium_auth=ann.access_token)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_other_calls_are_answered_meanwhile(vault: Cluster, http: httpx.Client, ann: Api) -> None:
    """Explanations and previews are made beside the API's own work."""
    entry = refused(http, vault, ann)
    api = vault.api()
    explain(api, log_id=entry)
    request = preview(vault, 1000)
    ended: list[bool] = []
    asked: dict[str, list[tuple[float, float]]] = {"Explain": [], "PreviewAccess": []}

    def keep_asking(method: str, request: Any) -> None:
        mine = vault.api()
        while not ended:
            before = time.monotonic()
            mine.call(ext, method, request, x_octelium_auth=mine.access_token)
            asked[method].append((before, time.monotonic()))

    others: list[tuple[float, float]] = []

    def most() -> int:
        """Other calls that began and ended while one preview was made."""
        return max(
            (
                sum(begun < before and after < done for before, after in others)
                for begun, done in list(asked["PreviewAccess"])
            ),
            default=0,
        )

    questions = (
        ("Explain", ext.ExplainRequest(log_id=entry, find_change=True)),
        ("PreviewAccess", request),
    )
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(keep_asking, *question) for question in questions]
        latest = time.monotonic() + 120
        try:
            # One that is made on the way of the others lets a few by, before it and after it.
            while most() < 10 or not asked["Explain"]:
                assert time.monotonic() < latest
                before = time.monotonic()
                api.core("GetUser", meta.GetOptions(name="vault-ann"))
                others.append((before, time.monotonic()))
        finally:
            ended.append(True)
        for each in running:
            each.result(120)
