from __future__ import annotations

import itertools

import pytest

from octelium.identity.scopes import ApiCall, covers, parse_scopes
from octelium.octovigil.access.conditions import Known
from octelium.octovigil.access.formula import Formulas
from octelium.octovigil.access.scopes import covered_calls
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.unparse import unparse


def condition(*scopes: str, **call: str) -> str:
    grpc = OpenMap(call, present={} if call else {"package": (), "service": (), "method": ()})
    ctx = OpenMap({"request": OpenMap({"grpc": grpc})}, open=False)
    judgement = covered_calls(parse_scopes(scopes)).judge(Known(Formulas(), ctx, None))
    assert unparse(judgement.fails.node) == "false"
    return unparse(judgement.holds.node)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["service:wiki"], "false"),
        (["api:*"], "true"),
        (["api:core"], 'ctx.request.grpc.package == "octelium.api.main.core.v1"'),
        (["api:core.MainService/GetUser"],
         ('ctx.request.grpc.package == "octelium.api.main.core.v1" && '
          'ctx.request.grpc.service == "MainService" && ctx.request.grpc.method == "GetUser"')),
        (["service:wiki", "api:core", "api:ext"],
         ('ctx.request.grpc.package == "octelium.api.main.core.v1" || '
          'ctx.request.grpc.package == "octelium.ext.v1"')),
    ],
)  # fmt: skip
def test_scopes_as_conditions(scopes: list[str], expected: str) -> None:
    assert condition(*scopes) == expected


def test_they_cover_what_scopes_cover() -> None:
    texts = (
        "api:core",
        "api:core.MainService",
        "api:user.MainService/Get",
        "api:*",
        "service:wiki",
    )
    packages = ("octelium.api.main.core.v1", "octelium.api.main.user.v1", "other")
    for count in (1, 2):
        for scopes in itertools.combinations(texts, count):
            for package, service, method in itertools.product(
                packages, ("MainService", "Other"), ("Get", "Set")
            ):
                call = ApiCall(package, service, method)
                expected = covers(parse_scopes(scopes), "api.octelium-api", "octelium-api", call)
                found = condition(*scopes, package=package, service=service, method=method)
                assert found == ("true" if expected else "false")
