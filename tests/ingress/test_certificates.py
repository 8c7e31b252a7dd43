from __future__ import annotations

import contextlib
import logging
import ssl

import pytest
from cryptography import x509

from octelium.ingress.certificates import Certificate, CertificateStore, server_context
from tests.http import certs
from tests.vigil.world import DOMAIN, Feed, certificate_secret, secret, system_secret


@pytest.fixture
def feed() -> Feed:
    return Feed()


def test_what_a_certificate_covers() -> None:
    pair = certs.server(DOMAIN, f"*.{DOMAIN}")
    certificate = Certificate(pair.chain, pair.key)
    for _ in range(2):
        assert certificate.covers(DOMAIN.encode())
        assert certificate.covers(f"wiki.{DOMAIN}".encode())
        assert not certificate.covers(f"a.wiki.{DOMAIN}".encode())
        assert not certificate.covers(b"test")
        assert not certificate.covers(b"other.example")
        assert not certificate.covers(b"\xff")


def test_what_is_no_certificate() -> None:
    pair, other = certs.server("a.example"), certs.server("b.example")
    nameless = certs.issue(issuer=certs.ca())
    for chain, key in (
        (pair.chain, other.key),
        (b"", pair.key),
        (pair.chain, b""),
        (nameless.chain, nameless.key),
    ):
        with pytest.raises((ValueError, ssl.SSLError)):
            Certificate(chain, key)


def test_versions_of_tls() -> None:
    context = server_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert not {name for name in names if "CBC" in name or name.startswith("AES")}
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in names)


def test_finding_by_name(feed: Feed) -> None:
    feed.put(
        certificate_secret(DOMAIN, f"*.{DOMAIN}"),
        certificate_secret(f"*.prod.{DOMAIN}", name="crt-ns-prod"),
    )
    store = CertificateStore(feed.replica)
    assert len(store) == 2
    default, prod = store.find(DOMAIN), store.find(f"x.prod.{DOMAIN}")
    assert default is not None
    assert prod is not None
    assert default is not prod
    assert store.find(f"WIKI.{DOMAIN}".upper()) is default
    assert store.find(f"prod.{DOMAIN}") is default
    assert store.find(f"a.b.c.{DOMAIN}") is default
    for outside in ("other.example", f"x{DOMAIN}", f"{DOMAIN}.evil", "", "test"):
        assert store.find(outside) is None


@pytest.mark.parametrize("name", ["custom", "crt-ns-default", "crt-ns-evil"])
def test_only_what_the_cluster_made_and_labelled_counts(feed: Feed, name: str) -> None:
    pair = certs.server(f"*.{DOMAIN}")
    made = secret(name, pair.key, pair.chain)
    feed.put(made)
    store = CertificateStore(feed.replica)
    for system, label in ((False, ""), (True, ""), (False, "true"), (True, "false")):
        made.metadata.is_system = system
        made.metadata.system_labels["octelium-cert"] = label
        feed.put(made)
        assert store.find(f"a.{DOMAIN}") is None
    feed.put(certificate_secret(f"*.{DOMAIN}", name=name))
    assert store.find(f"a.{DOMAIN}") is not None


def test_replacement(feed: Feed, caplog: pytest.LogCaptureFixture) -> None:
    store = CertificateStore(feed.replica)
    assert store.find(DOMAIN) is None
    feed.put(certificate_secret(DOMAIN))
    first = store.find(DOMAIN)
    assert first is not None
    assert store.of(first.context) is first
    feed.put(feed.config)
    assert store.find(DOMAIN) is first
    feed.put(certificate_secret(DOMAIN, f"*.{DOMAIN}"))
    second = store.find(DOMAIN)
    assert second is not None
    assert second is not first
    assert store.of(first.context) is None
    with caplog.at_level(logging.ERROR):
        feed.put(system_secret("crt-ns-default", b"rubbish", b"rubbish"))
    assert "crt-ns-default" in caplog.text
    assert "rubbish" not in caplog.text
    assert store.find(DOMAIN) is second
    feed.delete(secret("crt-ns-default", b""))
    assert store.find(DOMAIN) is None


def test_closing(feed: Feed) -> None:
    store = CertificateStore(feed.replica)
    store.close()
    feed.put(certificate_secret(DOMAIN))
    assert len(store) == 0


def test_services_of_the_private_network_are_called_by_any_name(feed: Feed) -> None:
    store = CertificateStore(feed.replica)
    with pytest.raises(ssl.SSLError):
        shake_hands(store.private_context("default"), "wiki.local")
    feed.put(
        certificate_secret(DOMAIN, f"*.{DOMAIN}"),
        certificate_secret(f"*.prod.local.{DOMAIN}", name="crt-ns-prod"),
    )
    for namespace, name, expected in (
        ("prod", f"wiki.prod.local.{DOMAIN}", f"*.prod.local.{DOMAIN}"),
        ("prod", f"wiki.{DOMAIN}", f"*.{DOMAIN}"),
        ("prod", "wiki.local", f"*.prod.local.{DOMAIN}"),
        ("prod", None, f"*.prod.local.{DOMAIN}"),
        ("other", None, f"*.{DOMAIN}"),
        ("other", "evil.test", f"*.{DOMAIN}"),
    ):
        assert expected in shake_hands(store.private_context(namespace), name)
    assert store.private_context("prod") is store.private_context("prod")


def shake_hands(context: ssl.SSLContext, name: str | None) -> set[str]:
    """The names of the certificate that a client is shown."""
    client = ssl.create_default_context(cadata=certs.ca().chain.decode())
    client.check_hostname = False
    pipes = [ssl.MemoryBIO() for _ in range(2)]
    sides = [
        client.wrap_bio(pipes[0], pipes[1], server_hostname=name),
        context.wrap_bio(pipes[1], pipes[0], server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    found = sides[0].getpeercert(binary_form=True)
    assert found is not None
    extensions = x509.load_der_x509_certificate(found).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))
