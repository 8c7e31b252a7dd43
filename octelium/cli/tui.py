"""`octeliumctl tui` and `octelium tui`: the terminal interface."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.verb import verb
from octelium.client.errors import ClientError
from octelium.client.home import state_directory

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.tui.lines import Line

_light = click.option(
    "--light/--dark", "light", default=None, help="The colours [default: as the terminal tells]."
)
_TESTS = 300.0
"""Seconds that tests of Policies may take."""


class NoTerminalError(ClientError):
    """There is no terminal to draw on."""


@verb(
    "tui",
    example="""
    octeliumctl tui
    octeliumctl tui --readonly
    octeliumctl tui sessions
    """,
)
@click.argument("view", required=False)
@click.option("--readonly", is_flag=True, help="Offer nothing that changes the Cluster.")
@_light
def tui(invocation: Invocation, view: str | None, readonly: bool, light: bool | None) -> None:
    """Administer the Cluster in the terminal.

    VIEW is where to begin: overview, a kind or its short name, access or authlog. In it, `?` shows
    all keys. It needs 80 columns and 24 lines, and works over SSH.
    """
    _run(invocation, view, light, readonly=readonly, person=False)


@verb(
    "tui",
    example="""
    octelium tui
    octelium tui --light
    """,
)
@_light
def user_tui(invocation: Invocation, light: bool | None) -> None:
    """See the Services to use, one's Sessions and Devices, in the terminal."""
    _run(invocation, None, light, readonly=True, person=True)


def _run(
    invocation: Invocation,
    word: str | None,
    light: bool | None,
    *,
    readonly: bool,
    person: bool,
) -> None:
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        raise NoTerminalError(
            "the interface needs a terminal", "scripts use `octeliumctl get -o json`"
        )
    from octelium.tui.app import Terminal
    from octelium.tui.data import ClusterData
    from octelium.tui.drafts import Drafts
    from octelium.tui.kinds import ADMINISTRATION, PERSON, Views
    from octelium.tui.look import is_light

    views = list(PERSON if person else ADMINISTRATION)
    if word is not None:
        first = Views(tuple(views)).find(word)
        if first is None:
            raise click.UsageError(f"There is no view {word!r}: {Views(tuple(views)).hint(word)}")
        views = [first, *(view for view in views if view is not first)]
    client = invocation.client
    client.api.core  # noqa: B018  (a login that is missing is told before the screen changes)
    data = ClusterData(client, invocation.now, person=person)
    data.whoami()

    def edit_text(app: Any, text: str) -> str:
        with app.suspend():
            return edited(text, invocation)

    # What is loaded stays; looking through it again and again would hold up keys by 0.1 s.
    gc.collect()
    gc.freeze()
    Terminal(
        data,
        views,
        readonly=readonly,
        person=person,
        light=is_light(invocation.environ) if light is None else light,
        now=invocation.now,
        edit_text=edit_text,
        run_tests=lambda path, is_live: run_tests(path, invocation, is_live=is_live),
        environ=invocation.environ,
        drafts=Drafts(drafts_folder(invocation), client.domain),
    ).run()


def edited(text: str, invocation: Invocation) -> str:
    """A text after the person's editor was at it. Raises ClientError."""
    from octelium.cli.edit import NoEditorError, open_editor

    handle, name = tempfile.mkstemp(prefix="octelium-", suffix=".yaml", text=True)
    os.close(handle)
    path = Path(name)
    is_kept = False
    try:
        path.write_text(text, encoding="utf-8")
        open_editor(path, invocation.environ)
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        is_kept = True
        raise ClientError(
            f"the text in {path} is not UTF-8; nothing was changed", "correct it there"
        ) from error
    except NoEditorError:
        raise
    except ClientError:  # the editor failed, and says where the text is
        is_kept = True
        raise
    finally:
        if not is_kept:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def drafts_folder(invocation: Invocation) -> Path | None:
    """Where texts are kept that were not applied; None where nothing may be kept."""
    home = state_directory(invocation.flags.get("homedir"), invocation.environ)
    return None if home is None else home / "drafts"


def run_tests(path: str, invocation: Invocation, *, is_live: bool = False) -> list[Line]:
    """What `octeliumctl policy test` says of a file or directory; with `is_live` the Cluster is
    asked. Raises ClientError.
    """
    import octelium
    from octelium.client.tunnel.detach import command
    from octelium.tui.lines import Tone, told

    options: list[str] = []
    if is_live:
        # The same Cluster, reached in the same way.
        given = {"domain": invocation.client.domain, **invocation.flags}
        flags = {name.replace("_", "-"): value for name, value in given.items()}
        options = ["--live", *(f"--{name}={value}" for name, value in flags.items())]
    words = command(["octeliumctl", "policy", "test", *options, "--", path])
    code = Path(octelium.__file__).resolve().parent.parent
    environ = {**invocation.environ, "NO_COLOR": "1", "PYTHONPATH": str(code)}
    try:
        # The program itself, with a path as its last word.
        done = subprocess.run(  # noqa: S603
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TESTS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClientError(f"the tests did not end: {error}") from error
    said = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    verdict = "All passed." if done.returncode == 0 else "Not all passed."
    lines = told(verdict, Tone.GOOD if done.returncode == 0 else Tone.BAD)
    return [*lines, *told(""), *told(said.rstrip("\n"))]


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()
