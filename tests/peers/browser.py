"""Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Playwright

CHROMIUM = "/usr/bin/chromium"
_PATIENCE = 180_000
"""Milliseconds for a start."""
_UNWANTED = (
    "LocalNetworkAccessChecks",
    "BlockInsecurePrivateNetworkRequests",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
)


def _pin(certificate: bytes) -> str:
    """SHA-256 of a PEM certificate's public key, in base64."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@contextmanager
def playwright() -> Iterator[Playwright]:
    """The driver; one per test process."""
    with sync_playwright() as driver:
        yield driver


def _arguments(authorities: Sequence[bytes], domain: str) -> list[str]:
    """What makes a browser trust `authorities` (PEM), and find all names below `domain`.

    Trust goes by public keys: pages are secure contexts, as WebAuthn needs them, without touching
    the machine's certificate store. A server must send its authority with its chain.
    """
    pins = ",".join(map(_pin, authorities))
    arguments = [
        f"--ignore-certificate-errors-spki-list={pins}",
        f"--host-resolver-rules=MAP *.{domain} 127.0.0.1, MAP {domain} 127.0.0.1",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's sandbox refuses root
    return arguments


@contextmanager
def chromium(driver: Playwright, authorities: Sequence[bytes], domain: str) -> Iterator[Browser]:
    """One process for many people: each context has cookies and a cache of its own."""
    launched = driver.chromium.launch(
        executable_path=CHROMIUM,
        headless=True,
        args=_arguments(authorities, domain),
        timeout=_PATIENCE,
    )
    try:
        yield launched
    finally:
        launched.close()


@contextmanager
def browser(
    driver: Playwright, profile: Path, authorities: Sequence[bytes], domain: str
) -> Iterator[BrowserContext]:
    """A browser with a profile of its own, where all names below `domain` lead to loopback."""
    context = driver.chromium.launch_persistent_context(
        profile,
        executable_path=CHROMIUM,
        headless=True,
        args=_arguments(authorities, domain),
        timeout=_PATIENCE,
    )
    try:
        yield context
    finally:
        context.close()


@contextmanager
def chromium_within(
    driver: Playwright, words: Sequence[str], folder: Path, rules: str = ""
) -> Iterator[Browser]:
    """One that runs where `words` before its command put it, such as in a network namespace.

    It knows no authorities of tests, and has none of the protections of local networks that
    browsers differ in. `rules` are of `--host-resolver-rules`.
    """
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} {CHROMIUM} "$@"\n')
    program.chmod(0o755)
    arguments = [f"--host-resolver-rules={rules}", f"--disable-features={','.join(_UNWANTED)}"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    launched = driver.chromium.launch(
        executable_path=program, headless=True, args=arguments, timeout=_PATIENCE
    )
    try:
        yield launched
    finally:
        launched.close()
