from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from octelium.cli.invocation import Invocation
from octelium.cli.words import (
    DOMAIN,
    FILE,
    KIND,
    KIND_AND_NAMES,
    PUBLICATION,
    SERVICE,
    USER_KIND,
    each,
    kind_words,
    resource_name,
)
from octelium.client.connections import Connections, Remembered
from octelium.client.storage import storage_at
from tests.cli.runner import Runner, resource

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.standin import StandIn

ARGUMENT = click.Argument(["words"], nargs=-1)


def offered(context: click.Context, incomplete: str) -> list[str]:
    items = KIND_AND_NAMES.shell_complete(context, ARGUMENT, incomplete)
    return [item.value for item in items]


def test_kinds_first(offline: Runner) -> None:
    context = click.Context(click.Command("get"), obj=Invocation(offline.environ))
    assert offered(context, "serv") == ["service"]
    assert "policytrigger" not in kind_words()


@pytest.fixture
def person(cluster: StandIn, terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> click.Context:
    """Somebody who is logged in and types a command, with time enough for a busy machine."""
    monkeypatch.setattr("octelium.client.names.SECONDS", 60.0)
    for name in ("ann", "bob", "bea"):
        cluster.add(resource("User", name))
    for name, port in (("wiki", 80), ("web", 8443), ("wiki.prod", 443), ("dns", 0)):
        cluster.add(resource("Service", name)).status.port = port
    assert terminal("octelium", "login").code == 0
    cluster.calls.clear()
    return click.Context(click.Command("get"), obj=Invocation(terminal.environ))


def test_then_the_names_that_the_cluster_knows(person: click.Context) -> None:
    person.params["words"] = ("usr",)
    assert offered(person, "b") == ["bob", "bea"]


def test_kinds_and_names_in_one_word(person: click.Context) -> None:
    assert offered(person, "usr/b") == ["usr/bob", "usr/bea"]
    person.params["words"] = ("user/ann",)
    assert offered(person, "") == ["user/ann", "user/bob", "user/bea"]


def test_names_of_one_kind(person: click.Context) -> None:
    items = resource_name("user").shell_complete(person, ARGUMENT, "a")
    assert [item.value for item in items] == ["ann"]


def test_services_to_use(person: click.Context) -> None:
    def services(incomplete: str) -> list[str]:
        return [item.value for item in SERVICE.shell_complete(person, ARGUMENT, incomplete)]

    assert services("w") == ["wiki", "web", "wiki.prod"]
    assert services("wiki.") == ["wiki.default", "wiki.prod"]
    assert services("x") == []


def test_services_to_publish(person: click.Context) -> None:
    def words(incomplete: str) -> list[str]:
        return [item.value for item in PUBLICATION.shell_complete(person, ARGUMENT, incomplete)]

    assert words("w") == ["wiki:8080", "web:8443", "wiki.prod:8443"]
    assert words("wiki:80") == ["wiki:8080"]
    assert words("wiki.d") == ["wiki.default:8080"]
    assert words("dns") == ["dns:"]


def test_typing_logs_nobody_in(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("Service", "wiki"))
    context = click.Context(click.Command("open"), obj=Invocation(terminal.environ))
    assert "OCTELIUM_AUTH_TOKEN" in terminal.environ
    assert SERVICE.shell_complete(context, ARGUMENT, "") == []
    assert cluster.calls == []


def test_domains(person: click.Context, tmp_path: Path) -> None:
    Connections(storage_at(tmp_path / "home")).put("old.test", Remembered("h:1"))
    items = DOMAIN.shell_complete(person, ARGUMENT, "")
    assert [item.value for item in items] == ["lab.test", "old.test"]
    assert [i.value for i in DOMAIN.shell_complete(person, ARGUMENT, "o")] == ["old.test"]
    (tmp_path / "home" / "connections.json").write_text("{")
    assert DOMAIN.shell_complete(person, ARGUMENT, "") == []


@pytest.mark.parametrize("kind", ["user", "nothing"])
def test_no_names_without_a_cluster(kind: str, offline: Runner) -> None:
    context = click.Context(click.Command("get"), obj=Invocation(offline.environ))
    context.params["words"] = (kind,)
    assert offered(context, "") == []


def test_kinds_as_files_have_them() -> None:
    context = click.Context(click.Command("apply"))
    items = KIND.shell_complete(context, click.Option(["--include"]), "S")
    assert {item.value for item in items} == {"Secret", "Service"}


def test_several_words_in_one_option() -> None:
    context, option = click.Context(click.Command("x")), click.Option(["--policy"])
    assert each(context, option, ("a, b", "c", ",")) == ("a", "b", "c")


def test_the_last_of_several_words_in_one_option(person: click.Context) -> None:
    option = click.Option(["--group"], multiple=True)
    items = resource_name("user").shell_complete(person, option, "ann,b")
    assert [item.value for item in items] == ["ann,bob", "ann,bea"]


def test_files_are_the_shell_s() -> None:
    [item] = FILE.shell_complete(click.Context(click.Command("apply")), ARGUMENT, "clu")
    assert (item.type, item.value) == ("file", "clu")


def test_what_a_user_may_get() -> None:
    context = click.Context(click.Command("get"))
    items = USER_KIND.shell_complete(context, ARGUMENT, "n")
    assert [item.value for item in items] == ["namespaces"]
    assert USER_KIND.convert("SVC/Wiki", None, None) == "svc/Wiki"
