"""Screenshots of pages, as people with different devices see them, and what axe-core finds there.

They are kept in `build/screenshots/`, or in the folder that `OCTELIUM_SCREENSHOTS` names.
"""

from __future__ import annotations

import os
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.peers import node

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT: Final = Path(__file__).resolve().parents[2]


class Look(NamedTuple):
    """A device that shows pages. `rules` are those of axe-core that may find something new there.

    All but a few of them say the same whatever the colours and the width.
    """

    dark: bool
    width: int
    height: int
    rules: tuple[str, ...] | None


_LOOKS: Final = {
    "light": Look(False, 1100, 760, None),
    "dark": Look(True, 1100, 760, ("color-contrast", "link-in-text-block")),
    "phone-dark": Look(True, 360, 720, ()),
    "phone": Look(False, 360, 720, ("target-size", "scrollable-region-focusable")),
}


def folder() -> Path:
    """Where the pictures are."""
    return Path(os.environ.get("OCTELIUM_SCREENSHOTS") or ROOT / "build/screenshots")


class Album:
    """Takes pictures of pages."""

    def __init__(self) -> None:
        self._folder = folder()
        self._folder.mkdir(parents=True, exist_ok=True)

    def take(self, page: Page, name: str) -> None:
        """A picture of each look; nothing may be wider than the window, or hard to use for anybody.

        https://github.com/dequelabs/axe-core; its rules are those of WCAG 2.2. Text of twice the
        size fits a telephone too (https://www.w3.org/TR/WCAG22/#resize-text), and nothing moves.
        """
        page.evaluate(_axe())
        for look, seen in _LOOKS.items():
            page.emulate_media(
                color_scheme="dark" if seen.dark else "light", reduced_motion="reduce"
            )
            page.set_viewport_size({"width": seen.width, "height": seen.height})
            assert _width(page) <= seen.width, (name, look)
            found = _findings(page, seen.rules)
            assert not found, (name, look, found)
            page.screenshot(path=self._folder / f"{name}-{look}.png", full_page=True)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert _width(page) <= 360, (name, "large text")
        page.evaluate("document.documentElement.style.fontSize = ''")
        assert page.evaluate("document.getAnimations().length") == 0, name
        page.set_viewport_size({"width": 1100, "height": 760})


def _width(page: Page) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth")
    return found


def _findings(page: Page, rules: tuple[str, ...] | None) -> list[Any]:
    """What keeps people from using the page: rules of axe-core, and where they are broken."""
    if rules == ():
        return []
    wanted = {} if rules is None else {"runOnly": list(rules)}
    broken = page.evaluate(
        "wanted => axe.run({...wanted, resultTypes: ['violations']}).then(told => told.violations)",
        wanted,
    )
    return [
        (each["id"], each["impact"], [place["html"] for place in each["nodes"]]) for each in broken
    ]


@cache
def _axe() -> str:
    return (node.modules() / "node_modules/axe-core/axe.min.js").read_text("utf-8")


def write_index(pictures: Path, since: float) -> int:
    """One page with all pictures taken since a moment, for who looks at them; how many there are.

    `since` is in Unix seconds.
    """
    names = sorted(path.name for path in pictures.glob("*.png") if path.stat().st_mtime >= since)
    shown = "".join(
        f'<figure><img src="{escape(name)}" alt="" loading="lazy"><figcaption>{escape(name)}'
        "</figcaption></figure>"
        for name in names
    )
    style = (
        "body{display:flex;flex-wrap:wrap;gap:1rem;font:.8rem sans-serif}"
        "figure{margin:0}img{height:24rem;border:1px solid #888}"
    )
    if names:
        page = f"<!doctype html><title>Pages</title><style>{style}</style>{shown}\n"
        (pictures / "index.html").write_text(page, "utf-8")
    return len(names)
