"""`octelium auth`, the groups of its commands."""

from __future__ import annotations

from octelium.cli import menu
from octelium.cli.program import MenuGroup

auth = MenuGroup(menu.AUTH)
"""Finds its commands in the table of `octelium.cli.menu`."""
authenticator = MenuGroup(menu.AUTHENTICATOR)
