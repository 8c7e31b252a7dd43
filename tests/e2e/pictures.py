"""Screenshots of pages, as people with different devices see them, and what axe-core finds there.

`OCTELIUM_SCREENSHOTS` names the folder that keeps them; without it they go with the test's own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.peers import node

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
        """A picture of each look; nothing may be wider than the window, or hard to use for anybody.

        https://github.com/dequelabs/axe-core; its rules are those of WCAG 2.2.
        """
        for look, (scheme, width, height) in _LOOKS.items():
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, look)
            found = findings(page)
            assert not found, (name, look, found)
            page.screenshot(path=self._folder / f"{name}-{look}.png", full_page=True)
        page.set_viewport_size({"width": 1100, "height": 760})


def findings(page: Page) -> list[Any]:
    """What keeps people from using the page: rules of axe-core, and where they are broken."""
    page.evaluate((node.modules() / "node_modules/axe-core/axe.min.js").read_text("utf-8"))
    broken = page.evaluate("axe.run().then(told => told.violations)")
    return [
        (each["id"], each["impact"], [place["html"] for place in each["nodes"]]) for each in broken
    ]
