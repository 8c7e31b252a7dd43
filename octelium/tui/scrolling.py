"""Keys and wheel by which one moves through what is longer than the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from textual import events

_FAR: Final = 1_000_000
_WHEEL: Final = 3
"""Rows that a turn of the wheel is worth."""


class Scrolling:
    """A part of a widget that moves by rows; the widget says how far a page is, and moves."""

    forward: ClassVar[tuple[str, ...]] = ("pagedown",)
    """Keys that go on by a page."""

    def page(self) -> int:
        """Rows of a page."""
        raise NotImplementedError

    def move(self, by: int) -> None:
        """Go on by rows, back if negative."""
        raise NotImplementedError

    def take_key(self, key: str) -> bool:
        """Move, if that is what a key means; whether it is."""
        page = max(1, self.page())
        steps = {
            **dict.fromkeys(self.forward, page),
            "up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page,
            "home": -_FAR, "g": -_FAR, "end": _FAR, "G": _FAR,
        }  # fmt: skip
        by = steps.get(key)
        if by is not None:
            self.move(by)
        return by is not None

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move."""
        event.stop()
        self.move(_WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move."""
        event.stop()
        self.move(-_WHEEL)
