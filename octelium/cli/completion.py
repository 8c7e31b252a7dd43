"""`completion`: scripts that make shells complete commands, kinds and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    example="""
    source <({program} completion bash)
    {program} completion zsh > "${fpath[1]}/_{program}"
    {program} completion fish > ~/.config/fish/completions/{program}.fish
    """,
    connects=False,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(invocation: Invocation, shell: str) -> None:
    """Print a shell completion script for this program."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    name = root.info_name or root.command.name or ""
    chosen = get_completion_class(shell)
    assert chosen is not None
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    invocation.terminal.show(chosen(root.command, {}, name, variable).source())
