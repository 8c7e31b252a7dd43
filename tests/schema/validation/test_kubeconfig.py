from __future__ import annotations

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.validation.kubeconfig import parse_kubeconfig
from tests.schema.validation.world import World, service

GOOD = """
apiVersion: v1
kind: Config
current-context: main
clusters: [{name: c1, cluster: {server: "https://10.0.0.1:6443"}}]
users: [{name: u1, user: {token: hunter2}}]
contexts:
  - {name: main, context: {cluster: c1, user: u1}}
  - {name: lame, context: {cluster: c2, user: u1}}
"""


def test_the_current_context_is_the_default() -> None:
    for context in ("", "main"):
        parsed = parse_kubeconfig(GOOD.encode(), context, "x")
        assert parsed.server == "https://10.0.0.1:6443"
        assert parsed.user == {"token": "hunter2"}


@pytest.mark.parametrize(
    ("text", "context"),
    [
        (b"\xff", ""),
        (b"", ""),
        (b"[", ""),
        (b"a: 1\n---\nb: 2\n", ""),
        (b"[]", ""),
        (b"{}", ""),
        (b"{contexts: 5, current-context: a}", ""),
        (b"{contexts: [5, {name: a}], current-context: a}", ""),
        (GOOD.encode(), "none"),
        (GOOD.encode(), "lame"),
        (GOOD.replace("u1}", "u2}", 1).encode(), ""),
        (GOOD.replace('server: "https://10.0.0.1:6443"', "x: y").encode(), ""),
        (GOOD.replace("https://10.0.0.1:6443", "h").encode(), ""),
    ],
)
def test_incomplete_kubeconfigs(text: bytes, context: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_kubeconfig(text, context, "spec.x")
    assert refused.value.path == "spec.x"
    assert "hunter2" not in str(refused.value)


def test_the_secret_of_a_service_is_read(world: World) -> None:
    text = service(
        "{mode: KUBERNETES, port: 443, config: {upstream: {url: 'https://h'}, "
        "kubernetes: {kubeconfig: {fromSecret: token}}}}"
    )
    assert world.refusal(text).path == "spec.config.kubernetes.kubeconfig.fromSecret"
    [secret] = world.read("kind: Secret\nmetadata: {name: token}\nspec: {}\n")
    secret.data.value = GOOD
    world.put(secret)
    [made] = world.apply(text)
    assert made.metadata.spec_labels["k8s-kubeconfig-url-default"] == "https://10.0.0.1:6443"
