from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.cli.invocation import Invocation
from octelium.cli.services import NoSuchServiceError, find_service, short
from octelium.client.errors import ApiError
from octelium.schema.names import private_fqdn, public_fqdn
from tests.cli.runner import Runner, resource
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.standin import StandIn

NAMES = ("wiki.default", "wiki.prod", "lab.test", "local.default")


@pytest.fixture
def invocation(cluster: StandIn, terminal: Runner) -> Iterator[Invocation]:
    for name in NAMES:
        cluster.add(resource("Service", name))
    made = Invocation(terminal.environ, clock=lambda: terminal.now, sleep=terminal.slept.append)
    yield made
    made.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_spelling_leads_to_the_service(name: str, invocation: Invocation) -> None:
    public, private = public_fqdn(name, "lab.test"), private_fqdn(name, "lab.test")
    for text in (short(name), name, f"svc/{name}", private, f"https://{public}:8443/a?b", public):
        assert find_service(invocation, text).metadata.name == name


def test_what_is_no_name_is_not_asked_for(cluster: StandIn, invocation: Invocation) -> None:
    for text in ("", "a.b.c", "../x", "\x00", "wiki prod", "https://", "x" * 10_000):
        with pytest.raises(NoSuchServiceError):
            find_service(invocation, text)
    assert "GetService" not in cluster.methods()


def test_other_refusals_are_not_taken_for_absence(cluster: StandIn, invocation: Invocation) -> None:
    cluster.failures["GetService"] = [RefusedError("UNAVAILABLE", "no")] * 9
    with pytest.raises(ApiError, match="Unavailable"):
        find_service(invocation, "wiki")
