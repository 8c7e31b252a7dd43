"""Rego modules in a Cluster from the built file: applied, refused, decided, and what they cost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cluster import wait_for
from tests.e2e.documents import credential, policy, rule, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.e2e.cluster import Cluster

PACKAGE = "package octelium.condition\n"
SHORT = """
match if {
    input.ctx.request.http.method == "GET"
    some prefix in input.attrs.prefixes
    startswith(input.ctx.request.http.path, prefix)
}
"""
SLOW = """
match if {
    input.ctx.request.http.path == "/slow"
    count([1 | some a in numbers.range(1, 150); some b in numbers.range(1, 150)]) > 0
}
"""
ENDLESS = """
match if {
    input.ctx.request.http.path == "/endless"
    count([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000)]) > 0
}
"""


def opa(effect: str, text: str, **more: Any) -> dict[str, Any]:
    return {**rule(effect, **more), "condition": {"opa": {"inline": PACKAGE + text}}}


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, upstream_port: int) -> Cluster:
    """A Service whose rules are Rego."""
    rules = policy(
        "rego",
        opa("ALLOW", SHORT, priority=1),
        opa("ALLOW", SLOW, priority=1),
        opa("DENY", ENDLESS),
    )
    rules["spec"]["attrs"] = {"prefixes": ["/open/", "/public/"]}
    cluster.apply(
        rules,
        workload("rego-robot"),
        workload("rego-other"),
        service("rego", f"http://127.0.0.1:{upstream_port}", "rego"),
        credential("rego-token", "rego-robot"),
        credential("rego-other-token", "rego-other"),
    )
    return cluster


def bearer(cluster: Cluster, name: str) -> dict[str, str]:
    made = json.loads(cluster.ctl("create", "credential", name, "--rotate", "-o", "json"))
    return {"Authorization": f"Bearer {made['accessToken']['accessToken']}"}


@pytest.fixture(scope="module")
def robot(guarded: Cluster) -> dict[str, str]:
    return bearer(guarded, "rego-token")


@pytest.fixture(scope="module")
def other(guarded: Cluster) -> dict[str, str]:
    return bearer(guarded, "rego-other-token")


@pytest.fixture(scope="module")
def http(guarded: Cluster) -> Iterator[httpx.Client]:
    with guarded.http() as client:
        yield client


def test_modules_decide(guarded: Cluster, robot: dict[str, str], http: httpx.Client) -> None:
    url = guarded.url("rego", "")
    wait_for(lambda: http.get(f"{url}/open/a", headers=robot).status_code == 200)
    assert http.get(f"{url}/public/b", headers=robot).status_code == 200
    assert http.get(f"{url}/closed", headers=robot).status_code == 403
    assert http.post(f"{url}/open/a", headers=robot).status_code == 403


def test_a_slow_module_runs_in_a_process_of_its_own(
    guarded: Cluster, robot: dict[str, str], http: httpx.Client
) -> None:
    url = guarded.url("rego", "")
    wait_for(lambda: http.get(f"{url}/slow", headers=robot).status_code == 200)
    found = helpers(guarded)
    assert found
    for number in found:
        os.kill(number, signal.SIGKILL)
    # Decisions are remembered; another method makes the request a new one.
    wait_for(lambda: http.put(f"{url}/slow", headers=robot).status_code == 200)
    assert not set(helpers(guarded)) & set(found)


def test_an_endless_module_refuses_who_asked(
    guarded: Cluster, robot: dict[str, str], other: dict[str, str], http: httpx.Client
) -> None:
    url = guarded.url("rego", "")
    assert http.get(f"{url}/endless", headers=robot).status_code == 500
    wait_for(lambda: http.get(f"{url}/open/b", headers=other).status_code == 200)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("match { true }", "line 2: this is not Rego v1"),
        ("match if no.such(1)", "line 2: no.such may not be called"),
        ("match if http.send({})", "http.send may not be called"),
        ("match if unsafe", "line 2: unsafe is unsafe"),
        ("other if true", "no rule defines match"),
        ("match if " + "(" * 5000, "nested more than"),
    ],
)
def test_bad_modules_are_refused(guarded: Cluster, text: str, problem: str) -> None:
    document = json.dumps(policy("rego-bad", opa("ALLOW", text)))
    done = guarded.run("octeliumctl", "apply", "-", check=False, text=document)
    assert done.returncode != 0
    assert problem in done.stderr
    assert "spec.rules[0].condition.opa.inline" in done.stderr


def helpers(cluster: Cluster) -> list[int]:
    """The ids of the evaluating processes of a Cluster's processes."""
    parents = set(cluster.children().values())
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = (entry / "stat").read_text()
                name, rest = stat[stat.index("(") + 1 :].rsplit(")", 1)
                if name == "oct-rego" and int(rest.split()[1]) in parents:
                    found.append(int(entry.name))
    return found


def test_nothing_of_it_outlives_its_worker(
    guarded: Cluster, other: dict[str, str], http: httpx.Client
) -> None:
    wait_for(lambda: http.patch(guarded.url("rego", "/slow"), headers=other).status_code == 200)
    found = helpers(guarded)
    assert found
    workers = {name: number for name, number in guarded.children().items() if "worker" in name}
    for name in workers:
        guarded.kill(name)
    wait_for(lambda: not any(Path(f"/proc/{number}").exists() for number in found))
    wait_for(lambda: len(set(guarded.children()) & set(workers)) == len(workers))
    wait_for(guarded._ready)
