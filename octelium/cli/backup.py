"""`octops backup`: a Cluster in one file, while it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from octelium.cli.cert import data_dir_option
from octelium.cli.inert import inert
from octelium.cli.sources import STDIN
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    example="""
    octops backup octelium.backup --data-dir /var/lib/octelium
    octops backup - --data-dir /var/lib/octelium | age -r KEY >octelium.backup.age
    octops backup octelium.backup --without-key --logs --data-dir /var/lib/octelium
    """,
    connects=False,
)
@click.argument("file")
@click.option("--without-key", is_flag=True, help="Leave out the key of the Secrets.")
@click.option("--logs", is_flag=True, help="With the access log.")
@data_dir_option
def backup(invocation: Invocation, file: str, without_key: bool, logs: bool, data_dir: str) -> None:
    """Write a backup of a Cluster to FILE, or to stdout (`-`).

    The Cluster may run: the backup is of one moment, and nobody waits. It has every resource with
    its history, Sessions and certificates, and the key that opens the Secrets: whoever has it can
    be everybody. Run it as root, or as the user that runs the Cluster.
    """
    from octelium.client.errors import ClientError
    from octelium.cluster.backup import back_up
    from octelium.cluster.layout import Layout

    if file == STDIN and sys.stdout.isatty():
        raise click.UsageError("A backup is no text for a terminal: give a file, or `| …`.")
    path = Path(file).expanduser()
    target = sys.stdout.buffer if file == STDIN else path
    if file != STDIN and not path.parent.exists():
        raise ClientError(f"there is no directory {path.parent}", f"mkdir -p {path.parent}")
    made = back_up(
        Layout(Path(data_dir).expanduser()),
        target,
        os.environ,
        with_key=not without_key,
        with_logs=logs,
    )
    size = sum(size for size, _ in made.members.values()) / (1 << 20)
    terminal = invocation.terminal
    terminal.note(f"{inert(made.domain)} at revision {made.revision}, {size:.1f} MiB.")
    if made.has_key:
        terminal.note("It holds the key of the Secrets: keep it as secret as the Cluster itself.")
    else:
        terminal.note("The key of the Secrets is not in it, and no restore works without: keep it.")
    left_out = "settings" if made.has_logs else "settings, access log (--logs)"
    terminal.note(f"Not in it: {left_out}.")
