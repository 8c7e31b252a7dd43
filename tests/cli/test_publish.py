from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_a_port_becomes_a_page_and_its_url_is_shown(cluster: StandIn, terminal: Runner) -> None:
    result = terminal.ctl("publish", "3000", "--name", "app")
    port = terminal.environ["OCTELIUM_API_ENDPOINT"].rpartition(":")[2]
    assert (result.code, result.out) == (0, f"https://app.lab.test:{port}\n")
    assert "service/app.default created" in result.err
    assert "octeliumctl grant USER app" in result.err
    spec = cluster.objects["Service", "app.default"].spec
    assert (spec.mode, spec.is_public) == (core.ServiceSpecMode__.WEB, True)
    assert spec.config.upstream.url == "http://127.0.0.1:3000"


def test_a_url_a_policy_and_who_serves_it(cluster: StandIn, terminal: Runner) -> None:
    words = ["https://10.0.0.5", "--name", "wiki.prod", "--policy", "staff", "--served-by", "home"]
    result = terminal.ctl("publish", *words)
    assert result.code == 0
    assert "Serve it, as home: octelium connect --serve wiki.prod" in result.err
    assert "grant" not in result.err
    spec = cluster.objects["Service", "wiki.prod"].spec
    assert (spec.config.upstream.url, spec.config.upstream.user) == ("https://10.0.0.5", "home")
    assert list(spec.authorization.policies) == ["staff"]


@pytest.mark.parametrize("word", ["0", "65536", "-1", "app", "tcp://10.0.0.5:1", "²"])
def test_what_is_no_web_application(cluster: StandIn, terminal: Runner, word: str) -> None:
    result = terminal.ctl("publish", "--name", "app", "--", word)
    assert result.code == 2
    assert "neither a port nor an http or https URL" in " ".join(result.err.split())
    assert ("Service", "app.default") not in cluster.objects


def test_what_is_there_already_stays(terminal: Runner) -> None:
    assert terminal.ctl("publish", "3000", "--name", "app").code == 0
    again = terminal.ctl("publish", "4000", "--name", "app")
    assert (again.code, again.out) == (1, "")
    assert "AlreadyExists" in again.err
    told = " ".join(again.err.split())
    assert "to lead it to http://127.0.0.1:4000, set its upstream" in told
    assert "octeliumctl edit service app" in told


def test_with_the_projects_own_api(real: Runner) -> None:
    assert real.ctl("publish", "3000", "--name", "app").code == 0
    assert "url: http://127.0.0.1:3000" in real.works("get", "service", "app")
