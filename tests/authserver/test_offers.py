from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.authserver.offers import invitation, label, offer, offered
from tests.identity.providers import add_provider

if TYPE_CHECKING:
    from tests.authserver.browser import Host


async def test_who_is_offered(host: Host) -> None:
    cluster = host.cluster
    kept = {}
    for name, kind, spec in (
        ("hub", "github", {}),
        ("corp", "oidc", {"display_name": "a company"}),
        ("school", "saml", {}),
        ("ci", "workload", {}),
        ("off", "oidc", {"is_disabled": True}),
        ("shut", "oidc", {"locked": True}),
    ):
        kept[name] = await cluster.write(
            lambda tx, n=name, k=kind, s=spec: add_provider(tx, n, k, **s)
        )
    assert [each.metadata.name for each in offered(cluster.resources)] == ["corp", "hub", "school"]
    for name, provider in kept.items():
        found = offer(cluster.resources, provider.metadata.uid)
        assert (found is not None) == (name in ("hub", "corp", "school"))
    assert offer(cluster.resources, "") is None
    assert offer(cluster.resources, "nobody") is None


async def test_one_that_is_switched_off_vanishes_at_once(host: Host) -> None:
    cluster = host.cluster
    provider = await cluster.write(lambda tx: add_provider(tx, "corp"))
    assert offer(cluster.resources, provider.metadata.uid) == provider
    provider.spec.is_disabled = True
    await cluster.change(provider)
    assert offered(cluster.resources) == []
    assert offer(cluster.resources, provider.metadata.uid) is None
    provider.spec.is_disabled = False
    await cluster.change(provider)
    await cluster.delete(provider)
    assert offered(cluster.resources) == []


async def test_what_it_is_called(host: Host) -> None:
    provider = await host.cluster.write(lambda tx: add_provider(tx, "corp"))
    assert label(provider) == "corp"
    provider.metadata.display_name = "The company"
    assert label(provider) == "The company"
    provider.spec.display_name = "Company"
    assert label(provider) == "Company"


async def test_what_its_button_says(host: Host) -> None:
    provider = await host.cluster.write(lambda tx: add_provider(tx, "login"))
    assert invitation(provider) == "Continue with login"
    provider.metadata.name = "corp"
    assert invitation(provider) == "Continue with corp"
    provider.metadata.display_name = "Continuous Inc."
    assert invitation(provider) == "Continue with Continuous Inc."
    for shown in ("Login with Corp", "LOG IN", "Sign in at Corp", "sign-in", "Continue to Corp"):
        provider.spec.display_name = shown
        assert invitation(provider) == shown
        assert label(provider) == "Continuous Inc."
