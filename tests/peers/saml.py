"""Debian's SimpleSAMLphp as an identity provider, served by PHP itself behind TLS."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.peers.pipe import tls_pipe
from tests.peers.ports import free_port
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from playwright.sync_api import Page

HOME = Path("/usr/share/simplesamlphp")
PACKAGES = (
    "simplesamlphp micro-httpd php8.2-cgi php8.2-cli php8.2-xml php8.2-mbstring php8.2-curl "
    "php8.2-sqlite3"
)
PASSWORD = "any password but this one is wrong"
_REQUEST_DENIED = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied"
EMAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"


@dataclass(frozen=True)
class RsaPair:
    """A key and its certificate, PEM: what SAML providers usually sign with."""

    key: bytes
    certificate: bytes

    @classmethod
    def make(cls) -> RsaPair:
        """A new one, valid for a day."""
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        return cls(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            certificate.public_bytes(Encoding.PEM),
        )


@dataclass(frozen=True)
class SamlProvider:
    """A running provider. Users sign in there with `PASSWORD` and have the attributes given."""

    origin: str
    signer: RsaPair

    @property
    def metadata_url(self) -> str:
        """Where its metadata is."""
        return f"{self.origin}/saml2/idp/metadata.php"

    @property
    def entity_id(self) -> str:
        """What it calls itself: the URL of its metadata."""
        return self.metadata_url


def _php(value: Any) -> str:
    """A PHP expression for JSON data."""
    text = json.dumps(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"json_decode('{text}', true)"


@contextmanager
def saml_provider(
    folder: Path,
    service_provider: str,
    consumer: str,
    users: Mapping[str, Mapping[str, Sequence[str]]],
    barred: str = "",
) -> Iterator[SamlProvider]:
    """A provider for one service provider (entity id) with one assertion consumer URL.

    `users` are attributes by name; who has the attribute `barred` may not sign in. The certificate
    is of `tests.http.certs.ca()`.
    """
    port, inner = free_port(), free_port()
    provider = SamlProvider(f"https://localhost:{port}", RsaPair.make())
    if not HOME.is_dir():
        raise RuntimeError(f"{HOME} is missing; on Debian: apt-get install {PACKAGES}")
    _configure(folder, provider, service_provider, consumer, users, barred)
    environment = {
        **os.environ,
        "SIMPLESAMLPHP_CONFIG_DIR": str(folder / "config"),
        "PHP_CLI_SERVER_WORKERS": "2",
    }
    sessions = f"session.save_path={folder / 'sessions'}"
    process = subprocess.Popen(
        [
            program("php", PACKAGES),
            "-d",
            sessions,
            "-S",
            f"127.0.0.1:{inner}",
            "-t",
            str(HOME / "www"),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(f"http://127.0.0.1:{inner}/saml2/idp/metadata.php")
        with tls_pipe(port, inner):
            yield provider
    finally:
        os.killpg(process.pid, 9)  # its workers too
        process.wait()


def _wait(url: str) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=60):
                return
        except OSError as error:
            if time.monotonic() > end:
                raise RuntimeError("SimpleSAMLphp did not start") from error
            time.sleep(0.05)


def _configure(
    folder: Path,
    provider: SamlProvider,
    service_provider: str,
    consumer: str,
    users: Mapping[str, Mapping[str, Sequence[str]]],
    barred: str,
) -> None:
    for name in ("config", "metadata", "cert", "sessions", "tmp", "log", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "cert/idp.key").write_bytes(provider.signer.key)
    (folder / "cert/idp.crt").write_bytes(provider.signer.certificate)
    settings = {
        "baseurlpath": f"{provider.origin}/",
        "certdir": f"{folder}/cert/",
        "loggingdir": f"{folder}/log/",
        "datadir": f"{folder}/data/",
        "tempdir": f"{folder}/tmp",
        "metadatadir": f"{folder}/metadata/",
        "secretsalt": "a salt for tests",
        "auth.adminpassword": "unused",
        "technicalcontact_email": "nobody@example.com",
        "admin.checkforupdates": False,
        "logging.handler": "errorlog",
        "enable.saml20-idp": True,
        "module.enable": {"exampleauth": True, "saml": True},
        "session.cookie.secure": True,
        "session.phpsession.savepath": f"{folder}/sessions",
        "store.type": "phpsession",
        "metadata.sources": [{"type": "flatfile"}],
        "language.default": "en",
    }
    logins = {f"{name}:{PASSWORD}": attributes for name, attributes in users.items()}
    sources = {"users": {"0": "exampleauth:UserPass", **logins}}
    denied = (
        "\\SimpleSAML\\Module\\saml\\IdP\\SAML2::handleAuthError("
        "new \\SimpleSAML\\Module\\saml\\Error("
        f"\\SAML2\\Constants::STATUS_RESPONDER, '{_REQUEST_DENIED}'), $state);"
    )
    code = f"if (isset($attributes['{barred}'])) {denied}"
    hosted = {
        provider.entity_id: {
            "authproc": {"50": {"class": "core:PHP", "code": code}} if barred else {},
            "host": "__DEFAULT__",
            "privatekey": "idp.key",
            "certificate": "idp.crt",
            "auth": "users",
            "signature.algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        }
    }
    remote = {
        service_provider: {
            "AssertionConsumerService": consumer,
            "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            "simplesaml.nameidattribute": EMAIL,
            "simplesaml.attributes": True,
        }
    }
    for path, name, value in (
        ("config/config.php", "config", settings),
        ("config/authsources.php", "config", sources),
        ("metadata/saml20-idp-hosted.php", "metadata", hosted),
        ("metadata/saml20-sp-remote.php", "metadata", remote),
    ):
        (folder / path).write_text(f"<?php\n${name} = {_php(value)};\n")


def sign_in(page: Page, name: str) -> None:
    """Go through the provider's page as `name`; it ends with the post to the consumer."""
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit], input[type=submit]")
