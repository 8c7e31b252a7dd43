from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from octelium.cluster.certificates import (
    LEAF_LIFETIME,
    CertificateError,
    Pair,
    check_names,
    check_pair,
    cluster_names,
    issue,
    make_authority,
    namespace_names,
)

if TYPE_CHECKING:
    from pathlib import Path

DOMAIN = "octelium.example"
AUTHORITY = make_authority(DOMAIN)
CA = AUTHORITY.chain
PAIR = issue(AUTHORITY, cluster_names(DOMAIN))
OTHER = make_authority(DOMAIN)


@pytest.mark.parametrize(
    "name", [DOMAIN, f"octelium-api.{DOMAIN}", f"portal.{DOMAIN}", f"svc.octelium-api.{DOMAIN}"]
)
def test_a_client_that_trusts_the_ca_trusts_every_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "pair.pem").write_text(PAIR.chain + PAIR.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "pair.pem")
    client = ssl.create_default_context(cadata=CA)
    near, far = socket.socketpair()
    with near, far:
        thread = threading.Thread(target=lambda: server.wrap_socket(far, server_side=True).close())
        thread.start()
        with client.wrap_socket(near, server_hostname=name) as wrapped:
            certificate = wrapped.getpeercert()
        thread.join()
    assert certificate
    assert ("DNS", DOMAIN) in certificate["subjectAltName"]


def test_the_names_are_those_of_the_cluster() -> None:
    leaf = check_pair(PAIR)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == cluster_names(DOMAIN)
    assert leaf.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=1000)


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        (Pair("", PAIR.key), "certificate cannot be read"),
        (Pair(PAIR.chain, ""), "private key cannot be read"),
        (Pair(PAIR.chain, issue(OTHER, [DOMAIN]).key), "not that of the first"),
        (Pair(CA + PAIR.chain, PAIR.key), "not that of the first"),
        (
            Pair(PAIR.chain.replace(CA, OTHER.chain), PAIR.key),
            "out of order",
        ),
    ],
)
def test_pairs_that_cannot_be_used_are_explained(pair: Pair, problem: str) -> None:
    with pytest.raises(CertificateError, match=problem):
        check_pair(pair)


def test_an_expired_certificate_is_refused() -> None:
    later = dt.datetime.now(dt.UTC) + LEAF_LIFETIME + dt.timedelta(days=1)
    with pytest.raises(CertificateError, match="expired on"):
        check_pair(PAIR, later)


def test_names_that_a_certificate_must_cover() -> None:
    leaf = check_pair(issue(AUTHORITY, namespace_names("prod", DOMAIN)))
    check_names(leaf, [f"wiki.prod.{DOMAIN}", f"WIKI.prod.local.{DOMAIN}".lower()])
    for name in (DOMAIN, f"wiki.{DOMAIN}", f"a.wiki.prod.{DOMAIN}", f"prod.{DOMAIN}"):
        with pytest.raises(CertificateError, match=f"does not cover {name}"):
            check_names(leaf, [name])
