"""`version`: what runs here."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from octelium import __version__
from octelium.cli.formats import json_text, output_option
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(example="{program} version -o json", connects=False)
@output_option("yaml", "json", default="yaml")
def version(invocation: Invocation, output: str) -> None:
    """Show the version."""
    facts = {
        "releaseVersion": __version__,
        "pythonVersion": platform.python_version(),
        "apiVersion": "v1",
    }
    lines = "\n".join(f"{key}: {value}" for key, value in facts.items())
    invocation.terminal.show(json_text(facts) if output == "json" else lines)
