"""What programs call themselves (RFC 9110 section 10.1.5), in words for people."""

from __future__ import annotations

import re
from typing import Final

_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_CLIENT: Final = re.compile(r"octelium-cli/([0-9A-Za-z.+-]{1,20})")
_LONGEST: Final = 60


def agent_name(user_agent: str) -> str:
    """A short name: the browser and its system, or what the program says first."""
    if match := _CLIENT.match(user_agent):
        return f"octelium {match[1]}"
    if user_agent.startswith("Mozilla/"):
        browser = next((name for mark, name in _BROWSERS if f"{mark}/" in user_agent), "Browser")
        system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
        return f"{browser} on {system}" if system else browser
    first = user_agent.partition(" ")[0]
    return first[:_LONGEST] or "unknown program"
