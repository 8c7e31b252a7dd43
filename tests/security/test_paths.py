"""Paths by which a client means one thing to a policy and another to the upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.identity.tokens import Verifier
from octelium.octovigil.octovigil import Octovigil
from octelium.schema.pb import core_v1_pb2 as core
from tests.vigil.world import DOMAIN, World, status_lines, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALLOW, DENY = core.PolicySpecRuleEffect__.ALLOW, core.PolicySpecRuleEffect__.DENY


def guard(made: core.Service, match: str) -> core.Service:
    """Deny what matches, allow the rest, whoever asks."""
    made.spec.is_anonymous = True
    made.spec.authorization.enable_anonymous = True
    made.status.namespace_ref.uid = "uid-default"
    policy = made.spec.authorization.inline_policies.add()
    rule = policy.spec.rules.add(effect=DENY, priority=-1)
    rule.condition.match = match
    rest = policy.spec.rules.add(effect=ALLOW)
    rest.condition.match_any = True
    return made


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.vigil.decider = Octovigil(made.replica, Verifier({}))
        namespace = core.Namespace()
        namespace.metadata.name = "default"
        namespace.metadata.uid = "uid-default"
        made.feed.put(namespace)
        yield made


async def status(here: World, target: str) -> int:
    asked = f"GET {target} HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nConnection: close\r\n\r\n"
    (answer,) = status_lines(await here.raw(asked.encode()))
    return answer


BYPASSES = [
    "//admin",
    "///admin/x",
    "/x/..//admin",
    "/%2fadmin",
    "/%5cadmin",
    "/\\admin",
    "/;/admin",
    "/;x=1/admin",
    "/%252fadmin",
    f"http://wiki.{DOMAIN}//admin",
]


@pytest.mark.parametrize("target", BYPASSES)
async def test_no_way_around_a_rule_about_the_path(here: World, target: str) -> None:
    match = 'ctx.request.http.path.startsWith("/admin")'
    here.feed.put(guard(here.serve(), match))
    for _ in range(2):  # the second answer may be a remembered one
        assert await status(here, "/other") == 200
        assert await status(here, "/admin") == 403
        assert await status(here, target) in {400, 403}
    assert len(here.origins.requests) == 2


@pytest.mark.parametrize(
    "match",
    [
        'ctx.request.http.uri.startsWith("/admin")',
        'json.marshal(ctx.request.http).contains("/x")',
        'json.marshal(ctx.request).contains("/x")',
        'json.marshal(ctx) == ""',
    ],
)
async def test_every_way_to_read_the_path_counts(here: World, match: str) -> None:
    here.feed.put(guard(here.serve(), match))
    assert await status(here, "/other") == 200
    assert await status(here, "//other") == 400


async def test_who_does_not_read_the_path_leaves_it_alone(here: World) -> None:
    here.feed.put(guard(here.serve(), 'ctx.request.http.method == "DELETE"'))
    for target in ("//a", "/a%2Fb", "/a;b/c"):
        assert await status(here, target) == 200
        assert here.origins.requests[-1].startswith(f"GET {target} HTTP/1.1\r\n".encode())


async def test_fields_that_upstreams_fold(here: World) -> None:
    here.feed.put(guard(here.serve(), 'ctx.request.http.headers["x-tenant"] == "b"'))
    assert (await here.request(token=None, fields={"x-tenant": "a"})).status == 200
    folded = {"x-tenant": "a", "X_Tenant": "b"}
    assert (await here.request(token=None, fields=folded)).status == 400
    assert len(here.origins.requests) == 1
