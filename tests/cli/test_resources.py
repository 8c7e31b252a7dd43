from __future__ import annotations

import click
import pytest

from octelium.cli.invocation import Invocation
from octelium.cli.resources import parse_targets, require_method, short_name, show_list
from octelium.schema.errors import Invalid
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from tests.cli.runner import Runner, resource

USER = KINDS["User"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["users"], []),
        (["usr", "ann"], ["ann"]),
        (["User", "ann", "bob"], ["ann", "bob"]),
        (["user/ann"], ["ann"]),
        (["user/ann", "usr/bob"], ["ann", "bob"]),
    ],
)
def test_ways_to_name_resources(words: list[str], names: list[str]) -> None:
    assert parse_targets(words) == (USER, names)


def test_names_of_several_kinds() -> None:
    for other in ("group/ops", "bob"):
        with pytest.raises(click.UsageError, match="not of the form user/NAME"):
            parse_targets(["user/ann", other])


def test_an_unknown_kind_with_a_suggestion() -> None:
    with pytest.raises(Invalid, match=r"unknown kind 'servise'.*service"):
        parse_targets(["servise"])


@pytest.mark.parametrize(
    ("kind", "verb", "text"),
    [("Session", "Create", "created"), ("Region", "Delete", "deleted"), ("Region", "Update", "up")],
)
def test_verbs_that_a_kind_does_not_have(kind: str, verb: str, text: str, terminal: Runner) -> None:
    invocation = Invocation(terminal.environ)
    with pytest.raises(Invalid, match=f"a {kind} cannot be {text}"):
        require_method(invocation, KINDS[kind], verb)
    require_method(invocation, USER, verb)
    invocation.close()


def test_names_that_commands_take() -> None:
    assert short_name(KINDS["IdentityProvider"], "corp") == "identityprovider/corp"


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    listing = core.UserList(items=[resource("User", "ann"), resource("User", "b\x1b")])
    show_list(Invocation({}), USER, listing, "name")
    assert capsys.readouterr().out == "user/ann\nuser/b\\x1b\n"
