"""`octeliumctl policy`, the group of its commands."""

from __future__ import annotations

from octelium.cli import menu
from octelium.cli.program import MenuGroup

policy = MenuGroup(menu.POLICY)
"""Finds its commands in the table of `octelium.cli.menu`."""
