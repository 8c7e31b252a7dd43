from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.certificates import CertificateError, check_pair, uncovered_names
from tests.client.standin import Authority, key_pem


def pair(authority: Authority, *names: str, days: int = 20) -> tuple[str, str]:
    certificate, key = authority.issue(*names, days=days)
    return certificate.decode(), key.decode()


def test_a_chain_with_its_key(authority: Authority) -> None:
    chain, key = pair(authority, "lab.test", "*.lab.test")
    leaf = check_pair(chain + authority.pem.decode(), key, now=time.time())
    assert uncovered_names(leaf, "lab.test", "default") == []
    assert uncovered_names(leaf, "lab.test", "prod") == ["*.prod.lab.test"]
    assert uncovered_names(leaf, "Other.test", "default") == ["Other.test", "*.Other.test"]


def test_a_key_of_another_certificate(authority: Authority) -> None:
    chain, _ = pair(authority, "lab.test")
    _, key = pair(authority, "lab.test")
    with pytest.raises(CertificateError, match="does not belong to the first certificate"):
        check_pair(chain, key, now=time.time())


def test_the_authority_first(authority: Authority) -> None:
    chain, key = pair(authority, "lab.test")
    with pytest.raises(CertificateError, match="does not belong"):
        check_pair(authority.pem.decode() + chain, key, now=time.time())


def test_an_encrypted_key(authority: Authority) -> None:
    chain, key = pair(authority, "lab.test")
    private = load_pem_private_key(key.encode(), None)
    locked = key_pem(private, b"pass").decode()  # type: ignore[arg-type]  # issued as EC
    with pytest.raises(CertificateError, match="encrypted") as caught:
        check_pair(chain, locked, now=time.time())
    assert "openssl" in caught.value.remedy


def test_not_valid_now(authority: Authority) -> None:
    chain, key = pair(authority, "lab.test", days=-3)
    with pytest.raises(CertificateError, match="has expired on"):
        check_pair(chain, key, now=time.time())
    with pytest.raises(CertificateError, match="begins only on"):
        check_pair(chain, key, now=0)


def test_without_alternative_names(authority: Authority) -> None:
    assert uncovered_names(authority.certificate, "lab.test", "default") == [
        "lab.test",
        "*.lab.test",
    ]


@given(st.text(max_size=60), st.text(max_size=60))
def test_other_texts_are_refused(chain: str, key: str) -> None:
    header, footer = "-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----\n"
    for text in (chain, header + chain + footer):
        with pytest.raises(CertificateError):
            check_pair(text, key, now=0)


def test_a_key_that_is_none(authority: Authority) -> None:
    chain, _ = pair(authority, "lab.test")
    with pytest.raises(CertificateError, match="not a readable private key"):
        check_pair(chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", now=0)
