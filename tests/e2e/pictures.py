"""Screenshots of pages, as people with different devices see them.

`OCTELIUM_SCREENSHOTS` names the folder that keeps them; without it they go with the test's own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_LOOKS = {
    "light": ("light", 1100, 760),
    "dark": ("dark", 1100, 760),
    "phone": ("light", 360, 720),
    "phone-dark": ("dark", 360, 720),
}


class Album:
    """Takes pictures of pages in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.environ.get("OCTELIUM_SCREENSHOTS") or folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def take(self, page: Page, name: str) -> None:
        """A picture of each look; nothing may be wider than the window."""
        for look, (scheme, width, height) in _LOOKS.items():
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, look)
            page.screenshot(path=self._folder / f"{name}-{look}.png", full_page=True)
        page.set_viewport_size({"width": 1100, "height": 760})
