"""`octops restore`: a Cluster as a backup has it."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from octelium.cli.cert import data_dir_option
from octelium.cli.inert import inert
from octelium.cli.payload import read_bytes
from octelium.cli.sources import STDIN, UnreadableError
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    example="""
    octops restore octelium.backup --data-dir /var/lib/octelium
    octops restore octelium.backup --replace --data-dir /var/lib/octelium
    age -d octelium.backup.age | octops restore - --data-dir /var/lib/octelium
    """,
    connects=False,
)
@click.argument("file")
@click.option("--key", metavar="PATH", help="The key of the Secrets, if the backup is without.")
@click.option("--replace", is_flag=True, help="Also where a Cluster is, which is kept beside.")
@data_dir_option
def restore(
    invocation: Invocation, file: str, key: str | None, replace: bool, data_dir: str
) -> None:
    """Put the Cluster of a backup, FILE or stdin (`-`), into a data directory.

    The Cluster must not run meanwhile. Everything is as it was at the moment of the backup: who was
    let in then is let in again, also if an administrator has put an end to that since. Start it
    with the same domain. Nothing is changed unless the whole backup is good.
    """
    from octelium.cluster.layout import Layout
    from octelium.cluster.restore import restore as put_back

    keys = read_bytes(key) if key is not None else None
    try:
        opened = (
            nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).expanduser().open("rb")
        )
    except OSError as error:
        raise UnreadableError(f"cannot read {file}: {error.strerror}") from error
    with opened as source:
        layout = Layout(Path(data_dir).expanduser())
        done = put_back(layout, source, os.environ, key=keys, replace=replace)
    made, terminal = done.manifest, invocation.terminal
    terminal.note(
        f"{inert(made.domain)} is as it was on {inert(made.made)}, at revision {made.revision}."
    )
    if done.former is not None:
        terminal.note(f"What was there is in {done.former}: remove it when all is well.")
    terminal.warn(
        "Sessions, Credentials and rights that were ended since then are good again: end them anew"
    )
