from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from octelium.cluster.controller_command import controller
from octelium.cluster.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable

ENVIRONMENT = {
    "OCTELIUM_CONTROLLER_SOCKET": "/run/octelium/feed.sock",
    "OCTELIUM_UPSTREAMS_NAMESPACE": "elsewhere",
    "OCTELIUM_UPSTREAMS_DNS": "192.0.2.53, 2001:db8::53",
    "OCTELIUM_UPSTREAMS_REFUSE": "192.0.2.0/24,2001:db8::1",
    "POD_NAME": "octelium-0",
}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the command with another process in place of the real one; what that was given."""
    given: list[tuple[Path, dict[str, Any]]] = []

    def instead(place: Path, **options: Any) -> None:
        given.append((place, options))

    monkeypatch.setattr("octelium.cluster.controller.run", instead)

    def run(*words: str, **environment: str) -> tuple[Path, dict[str, Any]]:
        done = CliRunner().invoke(controller, words, env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return given[-1]

    return run


def test_everything_may_stand_in_the_environment(ran: Callable[..., Any]) -> None:
    place, options = ran(**ENVIRONMENT)
    assert place == Path("/run/octelium/feed.sock")
    assert (options["namespace"], options["identity"]) == ("elsewhere", "octelium-0")
    objects = options["objects"]
    assert objects.namespace == "elsewhere"
    assert objects.name_servers == ("192.0.2.53", "2001:db8::53")
    assert objects.refused == ("192.0.2.0/24", "2001:db8::1/128")
    assert (options["health"], options["account"]) == (None, None)


def test_options_come_before_the_environment(ran: Callable[..., Any]) -> None:
    words = ("--socket", "feed.sock", "--identity", "mine", "--dns", "192.0.2.1")
    place, options = ran(*words, "--health", ":8481", "--namespace", "here", **ENVIRONMENT)
    assert place == Path("feed.sock")
    assert (options["identity"], options["namespace"]) == ("mine", "here")
    assert options["objects"].name_servers == ("192.0.2.1",)
    assert options["health"] == Address("", 8481)


def test_a_public_endpoint_of_the_api_server_is_refused_to_containers(
    ran: Callable[..., Any],
) -> None:
    assert ip_address("9.9.9.9").is_global
    _, options = ran(KUBERNETES_SERVICE_HOST="9.9.9.9")
    assert options["objects"].refused == ("9.9.9.9/32",)
    for host in ("10.43.0.1", "kubernetes.default", ""):
        assert ran(KUBERNETES_SERVICE_HOST=host)[1]["objects"].refused == ()


@pytest.mark.parametrize(
    ("host", "networks"),
    [
        ("10.43.0.1", ("10.43.0.0/16",)),
        ("fd43::1", ("fd43::/112",)),
        ("9.9.9.9", ("9.9.9.9/32",)),
        ("kubernetes.default", ()),
        ("", ()),
    ],
)
def test_registries_are_not_asked_among_the_services_of_kubernetes(
    ran: Callable[..., Any], host: str, networks: tuple[str, ...]
) -> None:
    _, options = ran(KUBERNETES_SERVICE_HOST=host)
    assert options["objects"].no_registries == networks


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--dns", "8.8.8.8,1.1.1.1,9.9.9.9,8.8.4.4"), "--dns"),
        (("--dns", ""), "--dns"),
        (("--dns", "dns.example.com"), "--dns"),
        (("--refuse", "192.0.2.1/24"), "--refuse"),
        (("--refuse", "everything"), "--refuse"),
        (("--health", "8481"), "--health"),
    ],
)
def test_what_cannot_be_used_is_named(words: tuple[str, ...], problem: str) -> None:
    done = CliRunner().invoke(controller, words)
    assert done.exit_code == 2
    assert problem in done.output


def test_outside_a_pod_it_says_so(tmp_path: Path) -> None:
    nothing = {"KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": ""}
    done = CliRunner().invoke(controller, ["--socket", "x"], env=nothing)
    assert done.exit_code == 1
    assert "octelium controller: KUBERNETES_SERVICE_HOST" in done.output
    inside = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    done = CliRunner().invoke(controller, ["--socket", "x", "--account", str(tmp_path)], env=inside)
    assert done.exit_code == 1
    assert f"{tmp_path / 'token'} is missing" in done.output
