"""A Fetcher that trusts the certificates of test peers."""

from __future__ import annotations

import ssl
from functools import cache

from octelium.authserver.providers.fetch import Fetcher, Limits
from tests.http import certs

PATIENT = Limits(deadline=60.0, connect=60.0, patience=60.0)
"""For whom time is not the subject: peers answer, however busy the machine."""


@cache
def context() -> ssl.SSLContext:
    """Trusts `certs.ca()` alone."""
    return ssl.create_default_context(cadata=certs.ca().chain.decode())


def fetcher(limits: Limits = PATIENT) -> Fetcher:
    """For peers of this test run."""
    return Fetcher(context=context(), limits=limits)
