from __future__ import annotations

import pytest

from octelium.tunnel.wireguard.errors import ConfigurationError, HandshakeError
from octelium.tunnel.wireguard.identity import Identity, check_key, cookie_key, mac1_key
from octelium.tunnel.wireguard.primitives import digest
from tests.tunnel.wireguard.worlds import key


def test_keys_have_32_bytes() -> None:
    assert check_key(bytes(32), "x") == bytes(32)
    for wrong in (b"", bytes(31), bytes(33), "x" * 32, bytearray(32)):
        with pytest.raises(ConfigurationError, match="the key: a key is 32 bytes"):
            check_key(wrong, "the key")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="private key"):
        Identity(b"short")


def test_the_public_key_is_that_of_rfc_7748_section_6_1() -> None:
    alice = Identity(key("alice"))
    bob = Identity(
        bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    )
    wanted = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert bob.public.hex() == wanted
    assert alice.shared(bob.public) == bob.shared(alice.public)


def test_derived_keys_are_those_of_the_labels() -> None:
    identity = Identity(key("a"))
    assert identity.mac1_key == mac1_key(identity.public) == digest(b"mac1----", identity.public)
    wanted = digest(b"cookie--", identity.public)
    assert identity.cookie_key == cookie_key(identity.public) == wanted


def test_shared_secrets_are_kept_until_forgotten() -> None:
    one, other = Identity(key("a")), Identity(key("b"))
    secret = one.shared(other.public)
    assert one.shared(other.public) is secret
    one.forget(other.public)
    assert one.shared(other.public) is not secret
    one.forget(key("never seen"))
    with pytest.raises(HandshakeError):
        one.shared(bytes(32))
