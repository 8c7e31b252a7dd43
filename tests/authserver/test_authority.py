from __future__ import annotations

from octelium.authserver.authority import authority_hint
from octelium.authserver.site import Site
from tests.authserver.browser import Host
from tests.authserver.test_portal import signed_in

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


async def test_anybody_gets_the_certificate(host: Host) -> None:
    host = Host(host.cluster, Site("example.com", authority=lambda: PEM))
    async with host.client, host.portal:
        response = await host.client.get("/ca.pem")
        assert response.status_code == 200
        assert response.text == PEM
        assert response.headers["content-type"] == "application/x-pem-file"
        assert response.headers["content-disposition"] == 'attachment; filename="ca.pem"'
        assert response.headers["x-content-type-options"] == "nosniff"
        shown = (await host.portal.get("/", headers=await signed_in(host))).text
        assert "octelium login --domain example.com --ca-file ca.pem" in shown
        assert '<a href="https://example.com/ca.pem">CA certificate</a>' in shown
        login = (await host.client.get("/login")).text
        assert "--ca-file ca.pem --auth-token TOKEN" in login
        assert "https://example.com/ca.pem" in login


async def test_there_is_none_where_clients_trust_the_certificate(host: Host) -> None:
    assert (await host.client.get("/ca.pem")).status_code == 404
    shown = (await host.portal.get("/", headers=await signed_in(host))).text
    assert "ca.pem" not in shown
    assert "ca.pem" not in (await host.client.get("/login")).text
    assert authority_hint(Site("example.com")) == []
