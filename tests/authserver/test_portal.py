from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.test_pages import ESCAPED, EVIL, check_headers, said
from tests.identity.cluster import CLI

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction
    from tests.authserver.browser import Host

MODES = core.ServiceSpecMode__
LOGIN = "'self' https://example.com"
"""Where the form that signs out goes, and leads to."""


def add_service(
    tx: Transaction, name: str, mode: Any = MODES.WEB, *, public: bool = True, **metadata: Any
) -> None:
    service = core.Service()
    service.metadata.name = name
    for field, value in metadata.items():
        setattr(service.metadata, field, value)
    service.spec.mode = mode
    service.spec.is_public = public
    tx.create(service)


async def signed_in(host: Host) -> dict[str, str]:
    """The header by which the proxy names alice's Session."""
    cluster = host.cluster
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(await cluster.add_credential(cluster.alice)),
        downstream=CLI,
        operation="sign-in",
    )
    return {"x-octelium-session-uid": issued.session.metadata.uid}


async def test_services_and_the_way_to_them(host: Host) -> None:
    def populate(tx: Transaction) -> None:
        add_service(tx, "wiki.default", display_name="Wiki", description="What we know")
        add_service(tx, "wiki.team")
        add_service(tx, "shell.default", MODES.SSH)
        add_service(tx, "inner.default", public=False)
        add_service(tx, "portal.default", is_system=True)
        add_service(tx, "dns.octelium", MODES.DNS, is_user_hidden=True)
        add_service(tx, "deep.default", is_system_hidden=True)

    await host.cluster.write(populate)
    response = await host.portal.get("/", headers=await signed_in(host))
    assert response.status_code == 200
    check_headers(response, LOGIN)
    html = response.text
    assert "Signed in as <strong>alice</strong>." in html
    assert '<a href="https://wiki.example.com/">Wiki</a>' in html
    assert "What we know\nwiki.default · WEB" in html
    assert '<a href="https://wiki.team.example.com/">wiki.team</a>' in html
    assert '<div class="what"><strong>shell</strong><span' in html
    assert '<div class="what"><strong>inner</strong><span' in html
    for hidden in ("portal.default", "dns.octelium", "deep.default"):
        assert hidden not in html


async def test_many_services_are_looked_through(host: Host) -> None:
    headers = await signed_in(host)

    async def shown(query: str = "") -> str:
        return (await host.portal.get(f"/{query}", headers=headers)).text

    for number in range(12):
        name = f"s{number:02}.default"
        await host.cluster.write(
            lambda tx, n=name: add_service(tx, n, display_name="Wiki", description="What we know")
        )
    assert 'role="search"' not in await shown()
    await host.cluster.write(lambda tx: add_service(tx, "ledger.default", description="Straße 1"))
    everything = await shown()
    assert 'role="search"' in everything
    assert everything.count("<li>") == 13
    found = await shown("?q=STRASSE+ledg")
    assert found.count("<li>") == 1
    assert "1 of 13 Services." in found
    assert 'value="STRASSE ledg"' in found
    nothing = await shown("?q=wiki+strasse")
    assert "<li>" not in nothing
    assert "None is called so" in nothing
    assert (await shown("?q=a&q=b")).count("<li>") == 13
    odd = await shown("?q=%22%3E%3Cscript%3E")
    assert "<script" not in odd


async def test_names_are_escaped(host: Host) -> None:
    await host.cluster.write(lambda tx: add_service(tx, "wiki.default", display_name=EVIL))
    alice = host.cluster.get(host.cluster.alice)
    alice.metadata.display_name = EVIL
    await host.cluster.change(alice)
    html = (await host.portal.get("/", headers=await signed_in(host))).text
    assert html.count(ESCAPED) == 2
    assert "<script" not in html


async def test_an_empty_cluster(host: Host) -> None:
    response = await host.portal.get("/", headers=await signed_in(host))
    assert "No Service is open to you" in response.text
    host.openable.broken = True
    response = await host.portal.get("/", headers=await signed_in(host))
    assert "no Services" in response.text


async def test_every_path_is_the_portal(host: Host) -> None:
    headers = await signed_in(host)
    for path in ("/", "/services/x", "/../x", "//evil.test/"):
        response = await host.portal.get(f"https://portal.example.com{path}", headers=headers)
        assert response.status_code == 200
        assert "Signed in as <strong>alice</strong>." in response.text


@pytest.mark.parametrize("uid", ["", "x", "3b241101-e2bb-4255-8caf-4136c566a962"])
async def test_nobody_is_sent_to_the_login_page(host: Host, uid: str) -> None:
    response = await host.portal.get("/", headers={"x-octelium-session-uid": uid})
    assert response.status_code == 303
    assert response.headers["location"] == "https://example.com/login"
    assert "alice" not in response.text


async def test_a_session_whose_user_is_gone(host: Host) -> None:
    headers = await signed_in(host)
    await host.cluster.delete(host.cluster.alice)
    assert (await host.portal.get("/", headers=headers)).status_code == 303


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "BREW"])
async def test_the_portal_is_there_to_be_read(host: Host, method: str) -> None:
    response = await host.portal.request(method, "/", headers=await signed_in(host))
    assert response.status_code == 404
    check_headers(response)


async def test_only_what_is_open_is_shown(host: Host) -> None:
    for name in ("wiki.default", "vault.default", "docs.default"):
        await host.cluster.write(lambda tx, n=name: add_service(tx, n))
    host.openable.closed.add("vault.default")
    host.openable.partial.add("docs.default")
    headers = await signed_in(host)
    html = (await host.portal.get("/", headers=headers)).text
    assert "vault" not in said(html)
    assert html.count("some pages only") == 1
    assert "opens at" not in html
    assert host.openable.asked == [("alice", headers["x-octelium-session-uid"])]
    host.openable.begins["docs.default"] = '/a b/"c"'
    html = (await host.portal.get("/", headers=headers)).text
    assert 'href="https://docs.example.com/a%20b/%22c%22"' in html
    assert "opens at /a b/&quot;c&quot;" in html
    assert html.count("opens at") == 1


async def test_what_cannot_be_found_out_is_said(host: Host) -> None:
    await host.cluster.write(lambda tx: add_service(tx, "wiki.default"))
    host.openable.broken = True
    html = (await host.portal.get("/", headers=await signed_in(host))).text
    assert 'role="alert"' in html
    assert "wiki" in html


async def test_the_way_out(host: Host) -> None:
    html = (await host.portal.get("/", headers=await signed_in(host))).text
    assert '<form method="post" action="/sign-out">' in html
    assert '<a href="https://portal.example.com/account">' in html
