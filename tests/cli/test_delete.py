from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.runner import Runner, resource
from tests.client.standin import RefusedError, StandIn

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def filled(cluster: StandIn, terminal: Runner) -> Runner:
    for name in ("ann", "bob"):
        cluster.add(resource("User", name))
    cluster.add(resource("Namespace", "prod"))
    cluster.add(resource("Service", "wiki.prod"))
    return terminal


def test_by_name(cluster: StandIn, filled: Runner) -> None:
    assert filled.works("delete", "user", "ann", "bob") == "user/ann deleted\nuser/bob deleted\n"
    assert filled.works("del", "svc/wiki.prod") == "service/wiki.prod deleted\n"
    assert list(cluster.objects) == [("Namespace", "prod")]


def used(cluster: StandIn) -> None:
    for kind in ("Secret", "Policy", "Config"):
        cluster.add(resource(kind, "x"))
    cluster.add(
        resource(
            "Service",
            "api",
            spec={
                "config": {"http": {"auth": {"bearer": {"fromSecret": "x"}}}},
                "authorization": {"policies": ["x"]},
            },
        )
    )
    cluster.add(resource("Group", "ops", spec={"authorization": {"policies": ["x"]}}))
    geolocation = {"geolocation": {"mmdb": {"fromConfig": "x"}}}
    cluster.add(resource("ClusterConfig", "default", spec={"authentication": geolocation}))


@pytest.mark.parametrize(
    ("kind", "users"),
    [
        ("secret", "service/api.default"),
        ("policy", "service/api.default, group/ops"),
        ("config", "clusterconfig/default"),
    ],
)
def test_what_is_still_referred_to(
    cluster: StandIn, terminal: Runner, kind: str, users: str
) -> None:
    used(cluster)
    result = terminal.ctl("delete", kind, "x")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"Error: {kind}/x: still referred to by {users}\n"
        "  take it out there first, or delete it all the same with --force\n"
    )
    assert terminal.works("delete", kind, "x", "--force") == f"{kind}/x deleted\n"


def test_users_that_go_in_the_same_command_do_not_count(
    cluster: StandIn, terminal: Runner, tmp_path: Path
) -> None:
    used(cluster)
    path = tmp_path / "x.yaml"
    path.write_text(
        "kind: Secret\nmetadata: {name: x}\nspec: {}\ndata: {value: s}\n---\n"
        "kind: Service\nmetadata: {name: api}\nspec: {}\n"
    )
    assert terminal.works("delete", "-f", str(path)) == (
        "service/api.default deleted\nsecret/x deleted\n"
    )


def test_what_refers_to_it_may_be_hidden(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Secret", "free"))
    cluster.failures["ListService"] = [RefusedError("PERMISSION_DENIED", "no")]
    assert terminal.works("delete", "secret", "free") == "secret/free deleted\n"
    assert terminal.ctl("delete", "secret", "free", "--ignore-not-found").code == 0


def test_one_that_fails_does_not_stop_the_others(cluster: StandIn, filled: Runner) -> None:
    result = filled.ctl("delete", "user", "none", "bob")
    assert (result.code, result.out) == (1, "user/bob deleted\n")
    assert result.err == "Error: user/none: NotFound: core.v1.User none does not exist\n"
    result = filled.ctl("delete", "user", "none", "--ignore-not-found")
    assert (result.code, result.err) == (0, "user/none does not exist.\n")


def test_what_files_declare_users_of_a_thing_first(
    cluster: StandIn, filled: Runner, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "kind: Namespace\nmetadata: {name: prod}\nspec: {}\n---\n"
        "kind: Service\nmetadata: {name: wiki.prod}\nspec: {}\n"
    )
    out = filled.works("delete", "-f", str(path))
    assert out == "service/wiki.prod deleted\nnamespace/prod deleted\n"


@pytest.mark.parametrize(
    "arguments", [[], ["user"], ["user", "ann", "-f", "x.yaml"], ["user/ann", "bob"]]
)
def test_what_to_delete_must_be_clear(filled: Runner, arguments: list[str]) -> None:
    assert filled.ctl("delete", *arguments).code == 2


def test_kinds_that_cannot_be_deleted(cluster: StandIn, filled: Runner) -> None:
    result = filled.ctl("delete", "region", "default")
    assert result.code == 1
    assert "a Region cannot be deleted" in result.err
    assert "DeleteRegion" not in cluster.methods()
