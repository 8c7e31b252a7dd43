"""A Fetcher that trusts the certificates of test peers."""

from __future__ import annotations

import ssl
from functools import cache

from octelium.authserver.providers.fetch import Fetcher
from tests.http import certs


@cache
def context() -> ssl.SSLContext:
    """Trusts `certs.ca()` alone."""
    return ssl.create_default_context(cadata=certs.ca().chain.decode())


def fetcher() -> Fetcher:
    """For peers of this test run."""
    return Fetcher(context=context())
