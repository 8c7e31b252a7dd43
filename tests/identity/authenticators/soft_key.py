"""A WebAuthn authenticator in software that can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor, cose
from fido2.webauthn import AuthenticatorData

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class SoftKey:
    """One credential for `rp_id`. What stands in its attributes goes into the next response."""

    def __init__(self, origin: str, rp_id: str, algorithm: int = -7) -> None:
        self.origin = origin
        self.rp_id = rp_id
        self.id = os.urandom(32)
        self.count = 0
        self.flags = UP | UV
        self.cross_origin = False
        self.user_handle: bytes | None = None
        self.attestation: tuple[str, dict[str, Any]] = ("none", {})
        self.sign_attestation = False
        self.attached_id: bytes | None = None
        self.private: Any
        self.public: cose.CoseKey
        kinds: Any = cose
        if algorithm == -7:
            self.private = ec.generate_private_key(ec.SECP256R1())
            self.public = kinds.ES256.from_cryptography_key(self.private.public_key())
        elif algorithm == -8:
            self.private = ed25519.Ed25519PrivateKey.generate()
            self.public = kinds.EdDSA.from_cryptography_key(self.private.public_key())
        else:
            self.private = rsa.generate_private_key(65537, 2048)
            self.public = kinds.RS256.from_cryptography_key(self.private.public_key())

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return self.private.sign(data, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        signature: bytes = self.private.sign(data)
        return signature

    def create(self, options: str, **client_data: Any) -> str:
        """A RegistrationResponseJSON."""
        asked = json.loads(options)
        self.user_handle = unb64(asked["user"]["id"])
        attached = self.attached_id or self.id
        credential = bytes(16) + len(attached).to_bytes(2, "big") + attached
        credential += cbor.encode(self.public)
        data = self._data(credential, AT)
        client = self._client("webauthn.create", asked["challenge"], client_data)
        kind, statement = self.attestation
        if self.sign_attestation:
            signature = self.sign(data + hashlib.sha256(client).digest())
            kind, statement = "packed", {"alg": self.public[3], "sig": signature, **statement}
        made = cbor.encode({"fmt": kind, "authData": data, "attStmt": statement})
        return self._response(
            {"clientDataJSON": b64(client), "attestationObject": b64(made)},
            {"credProps": {"rk": True}},
        )

    def get(self, options: str, **client_data: Any) -> str:
        """An AuthenticationResponseJSON; the counter goes up by one before."""
        asked = json.loads(options)
        self.count += 1
        data = self._data(b"", 0)
        client = self._client("webauthn.get", asked["challenge"], client_data)
        signature = self.sign(data + hashlib.sha256(client).digest())
        answer = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
        }
        if self.user_handle is not None:
            answer["userHandle"] = b64(self.user_handle)
        return self._response(answer, {})

    def _data(self, credential: bytes, more: int) -> bytes:
        rp = hashlib.sha256(self.rp_id.encode()).digest()
        flags = AuthenticatorData.FLAG(self.flags | more)
        return bytes(AuthenticatorData.create(rp, flags, self.count, credential))

    def _client(self, kind: str, challenge: str, more: dict[str, Any]) -> bytes:
        data = {
            "type": kind,
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
            **more,
        }
        return json.dumps(data).encode()

    def _response(self, answer: dict[str, str], extensions: dict[str, Any]) -> str:
        return json.dumps(
            {
                "id": b64(self.id),
                "rawId": b64(self.id),
                "response": answer,
                "authenticatorAttachment": "cross-platform",
                "clientExtensionResults": extensions,
                "type": "public-key",
            }
        )
