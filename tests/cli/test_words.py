from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from octelium.cli.invocation import Invocation
from octelium.cli.words import KIND, KIND_AND_NAMES, each, kind_words
from tests.cli.runner import Runner, resource

if TYPE_CHECKING:
    from tests.client.standin import StandIn

ARGUMENT = click.Argument(["words"], nargs=-1)


def offered(context: click.Context, incomplete: str) -> list[str]:
    items = KIND_AND_NAMES.shell_complete(context, ARGUMENT, incomplete)
    return [item.value for item in items]


def test_kinds_first(offline: Runner) -> None:
    context = click.Context(click.Command("get"), obj=Invocation(offline.environ))
    assert offered(context, "serv") == ["service"]
    assert "policytrigger" not in kind_words()


def test_then_the_names_that_the_cluster_knows(cluster: StandIn, terminal: Runner) -> None:
    for name in ("ann", "bob", "bea"):
        cluster.add(resource("User", name))
    context = click.Context(click.Command("get"), obj=Invocation(terminal.environ))
    context.params["words"] = ("usr",)
    assert offered(context, "b") == ["bob", "bea"]


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
