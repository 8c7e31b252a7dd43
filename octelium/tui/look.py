"""What the interface looks like: two themes, and how tones are drawn in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.theme import Theme

from octelium.tui.lines import Tone

if TYPE_CHECKING:
    from collections.abc import Mapping

DARK: Final = Theme(
    "octelium-dark",
    primary="#7aa2f7", secondary="#7f88b3", accent="#7dcfff", success="#9ece6a",
    warning="#e0af68", error="#f7768e", foreground="#d5daf0", background="#16161e",
    surface="#1f2335", panel="#292e42", dark=True,
)  # fmt: skip
LIGHT: Final = Theme(
    "octelium-light",
    primary="#2e5fbf", secondary="#6c7286", accent="#006a83", success="#33691e",
    warning="#8f5300", error="#b3123a", foreground="#20242f", background="#f7f8fb",
    surface="#eceef4", panel="#dde1ea", dark=False,
)  # fmt: skip
CLASSES: Final = {tone: f"tone--{tone.value}" for tone in Tone}
"""The component class of each tone."""
TONES: Final = """
    {name} > .tone--plain { color: $foreground; }
    {name} > .tone--heading { color: $primary; text-style: bold; }
    {name} > .tone--good { color: $success; }
    {name} > .tone--bad { color: $error; }
    {name} > .tone--warn { color: $warning; }
    {name} > .tone--dim { color: $secondary; }
    {name} > .tone--accent { color: $accent; }
    {name} > .tone--picture { color: #ffffff; background: #000000; }
    {name} > .cursor { background: $primary; color: $background; text-style: bold; }
    {name} > .found { text-style: reverse bold; }
    {name} > .key { color: $accent; text-style: bold; }
"""
COMPONENTS: Final = frozenset({*CLASSES.values(), "cursor", "found", "key"})


def tones(name: str) -> str:
    """The style sheet of the tones within the widgets of a class."""
    return TONES.replace("{name}", name)


def is_light(environ: Mapping[str, str]) -> bool:
    """Whether the terminal says that its background is light (`COLORFGBG`, as rxvt sets it)."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return background in ("7", "15")
