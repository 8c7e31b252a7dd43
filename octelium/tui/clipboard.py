"""Copying by the terminal: the escape sequence OSC 52 of xterm's control sequences.

No terminal says whether it took a text, so that what is known of some that do not is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 55_000
"""Bytes that terminals take: 74,994 characters in base64, with which hterm and others end."""
_UNSURE: Final = "If nothing is pasted, the terminal does not take copies (OSC 52)."


def obstacle(text: str, environ: Mapping[str, str]) -> str:
    """Why a text cannot be copied in a terminal, and what to do; empty if it may be."""
    size = len(text.encode("utf-8", "replace"))
    if size > MOST:
        return f"{size // 1000} kB are more than terminals take; see `octeliumctl get -o yaml`."
    term = environ.get("TERM", "")
    if term in ("linux", "dumb", "vt100", "vt220"):
        return f"A terminal of type {term} takes no copies."
    if environ.get("TERM_PROGRAM") == "Apple_Terminal":
        return "Terminal.app takes no copies (OSC 52): select with the mouse, holding Fn."
    if environ.get("STY") and not environ.get("TMUX"):
        return "GNU screen passes no copies on (OSC 52): select with the mouse, holding Shift."
    return ""


def remark(environ: Mapping[str, str]) -> str:
    """What may keep a copy from arriving."""
    if environ.get("TMUX"):
        return "If nothing is pasted: `tmux set -s set-clipboard on`."
    if environ.get("VTE_VERSION"):
        return (
            "If nothing is pasted: this terminal (VTE) takes no copies; use the mouse with Shift."
        )
    return _UNSURE
