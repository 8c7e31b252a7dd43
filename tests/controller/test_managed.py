from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.managed import Opened, managed_of
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core


def service(mode: str = "WEB", **spec: Any) -> core.Service:
    return from_json(
        core.Service,
        {"metadata": {"name": "web", "uid": "u-1"}, "spec": {"mode": mode, **spec}},
    )


def upstream(image: str, **parts: Any) -> dict[str, Any]:
    return {"upstream": {"container": {"image": image, "port": 80, **parts}}}


SECRETS = {name: Opened(uid=f"uid-{name}", name=name, data=b"x") for name in ("aa", "bb", "cc")}


def test_a_service_without_containers_asks_for_nothing() -> None:
    assert managed_of(service(config={"upstream": {"url": "http://h"}}), SECRETS) == ()
    assert managed_of(service(), SECRETS) == ()


def test_every_config_may_have_one() -> None:
    made = service(
        config={"name": "default", **upstream("a")},
        dynamicConfig={
            "configs": [
                {"name": "blue", **upstream("b")},
                {"name": "plain", "upstream": {"url": "http://h"}},
                {"name": "green", **upstream("c")},
            ]
        },
    )
    found = managed_of(made, {})
    assert [(one.key, one.container.image) for one in found] == [
        (("u-1", ""), "a"),
        (("u-1", "blue"), "b"),
        (("u-1", "green"), "c"),
    ]
    assert {(one.service, one.protocol) for one in found} == {("web.default", "TCP")}


@pytest.mark.parametrize(
    ("mode", "protocol"), [("UDP", "UDP"), ("DNS", "UDP"), ("TCP", "TCP"), ("GRPC", "TCP")]
)
def test_the_mode_says_the_protocol(mode: str, protocol: str) -> None:
    (one,) = managed_of(service(mode, config=upstream("a")), {})
    assert one.protocol == protocol


def test_a_container_gets_the_secrets_that_it_names_and_no_others() -> None:
    made = service(
        config=upstream(
            "a",
            env=[
                {"name": "A", "fromSecret": "aa"},
                {"name": "B", "fromSecret": "gone"},
                {"name": "C", "value": "cc"},
                {"name": "D", "kubernetesSecretRef": {"name": "cc", "key": "cc"}},
            ],
        ),
        dynamicConfig={
            "configs": [
                {
                    "name": "blue",
                    **upstream(
                        "b",
                        env=[{"name": "A", "fromSecret": "bb"}],
                        credentials={
                            "usernamePassword": {"username": "u", "password": {"fromSecret": "bb"}}
                        },
                    ),
                }
            ]
        },
    )
    first, second = managed_of(made, SECRETS)
    assert dict(first.secrets) == {"aa": SECRETS["aa"]}
    assert dict(second.secrets) == {"bb": SECRETS["bb"]}
