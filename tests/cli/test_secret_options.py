from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner

from octelium.cli.secret_options import secret_options


@click.command()
@secret_options
def show(**values: Any) -> None:
    click.echo(repr(values))


def test_the_options_and_their_defaults() -> None:
    done = CliRunner().invoke(show, ["--value", "x"])
    assert eval(done.output) == {
        "value": "x",
        "file": None,
        "secret_type": "value",
        "cert": None,
        "cert_key": None,
    }
    assert CliRunner().invoke(show, ["--type", "other"]).exit_code == 2


def test_the_order_in_the_help_is_that_of_the_list() -> None:
    text = CliRunner().invoke(show, ["--help"]).output
    places = [text.index(name) for name in ("--value", "--file", "--type", "--cert ", "--cert-key")]
    assert places == sorted(places)
