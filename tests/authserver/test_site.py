from __future__ import annotations

from octelium.authserver.site import Site


def test_on_the_standard_port() -> None:
    site = Site("example.com")
    assert site.issuer == site.origin == "https://example.com"
    assert site.url("wiki.example.com") == "https://wiki.example.com"
    assert site.login_command == "octelium login --domain example.com"
    assert site.token_login_command == "octelium login --domain example.com --auth-token TOKEN"


def test_on_another_port_addresses_carry_it_and_identifiers_do_not() -> None:
    site = Site("octelium.localhost", 8443)
    assert site.issuer == "https://octelium.localhost"
    assert site.origin == "https://octelium.localhost:8443"
    assert site.url("wiki.octelium.localhost") == "https://wiki.octelium.localhost:8443"
    assert site.login_command == (
        "octelium login --domain octelium.localhost --endpoint octelium-api.octelium.localhost:8443"
    )
