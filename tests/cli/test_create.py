from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_a_namespace_and_a_group(cluster: StandIn, terminal: Runner) -> None:
    assert terminal.works("create", "namespace", "prod") == "namespace/prod created\n"
    out = terminal.works("create", "group", "ops", "--policy", "allow-all", "-o", "name")
    assert out == "group/ops\n"
    group = cluster.objects["Group", "ops"]
    assert list(group.spec.authorization.policies) == ["allow-all"]


def test_users(cluster: StandIn, terminal: Runner) -> None:
    terminal.works("create", "user", "ann", "--email", "ann@lab.test", "--group", "ops")
    out = terminal.works("create", "user", "ci", "--type", "workload", "-o", "json")
    assert json.loads(out)["spec"] == {"type": "WORKLOAD"}
    ann = cluster.objects["User", "ann"]
    assert ann.spec.type == core.UserSpecType__.HUMAN
    assert (ann.spec.email, list(ann.spec.groups)) == ("ann@lab.test", ["ops"])


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("http://10.0.0.5:8080", "HTTP"),
        ("https://10.0.0.5", "HTTP"),
        ("h2c://10.0.0.5:50051", "GRPC"),
        ("postgres://10.0.0.6", "POSTGRES"),
        ("ssh://10.0.0.7", "SSH"),
        ("tcp://10.0.0.7:99", "TCP"),
    ],
)
def test_the_mode_of_a_service_follows_from_its_upstream(
    cluster: StandIn, terminal: Runner, url: str, mode: str
) -> None:
    result = terminal.ctl("create", "service", "wiki", "--upstream", url)
    assert (result.code, result.out) == (0, "service/wiki.default created\n")
    assert ("not served" in result.err) is (mode not in ("HTTP", "GRPC", "TCP"))
    spec = cluster.objects["Service", "wiki.default"].spec
    assert spec.mode == core.ServiceSpecMode__.ServiceSpecMode.Value(mode)
    assert spec.config.upstream.url == url


def test_files_with_modes_that_are_only_stored(terminal: Runner) -> None:
    text = "kind: Service\nmetadata: {name: db}\nspec: {mode: MYSQL}\n"
    warning = "Warning: service/db: mode MYSQL is stored but not served by this version\n"
    assert terminal.ctl("create", "-f", "-", stdin=text).err == warning
    assert terminal.ctl("update", "-f", "-", stdin=text).err == warning


def test_a_service_with_everything(cluster: StandIn, terminal: Runner) -> None:
    words = "--mode web --port 8443 --public --policy staff --upstream http://10.0.0.5"
    terminal.works("create", "service", "wiki.prod", *words.split())
    spec = cluster.objects["Service", "wiki.prod"].spec
    assert (spec.mode, spec.port, spec.is_public) == (core.ServiceSpecMode__.WEB, 8443, True)
    assert list(spec.authorization.policies) == ["staff"]


@pytest.mark.parametrize("words", [["foo://x"], ["http://x", "--mode", "foo"], ["x"]])
def test_modes_that_do_not_exist(terminal: Runner, words: list[str]) -> None:
    result = terminal.ctl("create", "service", "wiki", "--upstream", *words)
    assert result.code == 2
    assert "--mode with one of TCP" in " ".join(result.err.split())


def test_secrets_are_not_echoed(cluster: StandIn, terminal: Runner, tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b"from file")
    outputs = [
        terminal.works("create", "secret", "s1", "--value", "from option"),
        terminal.works("create", "secret", "s2", "-f", str(tmp_path / "value")),
        terminal.works("create", "secret", "s3", "-f", "-", stdin=b"from stdin"),
    ]
    assert outputs == [f"secret/s{number} created\n" for number in (1, 2, 3)]
    values = [cluster.objects["Secret", f"s{number}"].data.value_bytes for number in (1, 2, 3)]
    assert values == [b"from option", b"from file", b"from stdin"]
    assert terminal.ctl("create", "secret", "s4").code == 2


def test_a_certificate(cluster: StandIn, terminal: Runner, tmp_path: Path) -> None:
    for name in ("chain", "key"):
        (tmp_path / name).write_text(name)
    chain, key = str(tmp_path / "chain"), str(tmp_path / "key")
    words = ["--type", "cert", "--cert", chain, "--cert-key", key]
    terminal.works("create", "secret", "tls", *words)
    secret = cluster.objects["Secret", "tls"]
    assert (secret.spec.data.value, secret.data.value) == ("chain", "key")


def test_a_config(cluster: StandIn, terminal: Runner) -> None:
    assert terminal.works("create", "config", "app", "--value", "x") == "config/app created\n"
    assert cluster.objects["Config", "app"].data.value_bytes == b"x"


def test_what_files_declare_in_an_order_that_works(cluster: StandIn, terminal: Runner) -> None:
    text = (
        "kind: User\nmetadata: {name: ann}\nspec: {groups: [ops]}\n---\n"
        "kind: Group\nmetadata: {name: ops}\nspec: {}\n"
    )
    assert terminal.works("create", "-f", "-", stdin=text) == (
        "group/ops created\nuser/ann created\n"
    )
    cluster.failures["CreateGroup"] = [RefusedError("INVALID_ARGUMENT", "no")]
    result = terminal.ctl("create", "-f", "-", stdin=text)
    assert (result.code, result.out) == (1, "")
    assert "Error: stdin:5: group/ops: InvalidArgument: no\n" in result.err
    assert "Error: stdin:1: user/ann: AlreadyExists" in result.err


@pytest.mark.parametrize(
    "arguments", [[], ["nothing"], ["-f", "x", "namespace", "y"], ["namespace"]]
)
def test_what_to_create_must_be_clear(terminal: Runner, arguments: list[str]) -> None:
    assert terminal.ctl("create", *arguments).code == 2


def test_the_singleton_is_not_created(terminal: Runner) -> None:
    text = "kind: ClusterConfig\nmetadata: {name: default}\nspec: {}\n"
    result = terminal.ctl("create", "-f", "-", stdin=text)
    assert result.code == 1
    assert "a ClusterConfig cannot be created" in result.err


def test_every_kind_with_the_projects_own_api(real: Runner, tmp_path: Path) -> None:
    real.works("create", "namespace", "prod")
    rule = "{effect: ALLOW, condition: {matchAny: true}}"
    policy = f"kind: Policy\nmetadata: {{name: staff}}\nspec: {{rules: [{rule}]}}\n"
    assert real.works("create", "-f", "-", stdin=policy) == "policy/staff created\n"
    real.works("create", "group", "ops", "--policy", "staff")
    real.works("create", "user", "ann", "--email", "ann@lab.test", "--group", "ops")
    real.works("create", "user", "ci", "--type", "workload")
    real.works("create", "secret", "key", "--value", "s3cret")
    real.works("create", "config", "app", "--value", "x")
    words = "wiki.prod --upstream http://127.0.0.1:8080 --public --policy staff"
    real.works("create", "service", *words.split())
    made = real.ctl("create", "credential", "ci-1", "--user", "ci", "--type", "access-token")
    assert (made.code, made.out) == (0, "Access Token: ci-1\n")
    idp = (
        "kind: IdentityProvider\nmetadata: {name: corp}\nspec:\n  displayName: Corp\n"
        "  github: {clientID: x, clientSecret: {fromSecret: key}}\n"
    )
    real.works("create", "-f", "-", stdin=idp)
    for kind, name in (
        ("ns", "prod"), ("pol", "staff"), ("grp", "ops"), ("usr", "ann"), ("sec", "key"),
        ("cfg", "app"), ("svc", "wiki.prod"), ("cred", "ci-1"), ("idp", "corp"),
        ("sess", "root-abc123"), ("rgn", "default"), ("cc", "default"),
    ):  # fmt: skip
        assert f"/{name}\n" in real.works("get", kind, "-o", "name")
        assert f"name: {name}\n" in real.works("get", kind, name)
        assert f"Name:          {name}\n" in real.works("describe", kind, name)
        assert real.ctl("get", kind, "none-such").code == (0 if kind == "cc" else 1)
    refused = real.ctl("create", "user", "ann")
    assert (refused.code, refused.out) == (1, "")
    assert "AlreadyExists" in refused.err
    assert real.works("delete", "svc", "wiki.prod") == "service/wiki.prod deleted\n"
    assert "InvalidArgument" in real.ctl("delete", "group", "ops").err
