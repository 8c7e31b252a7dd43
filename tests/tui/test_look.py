from __future__ import annotations

import pytest
from textual.color import Color

from octelium.tui.lines import Tone
from octelium.tui.look import CLASSES, COMPONENTS, DARK, LIGHT, is_light, tones


def test_every_tone_is_drawn() -> None:
    sheet = tones("Table")
    assert "{name}" not in sheet
    for tone in Tone:
        assert CLASSES[tone] in sheet
        assert CLASSES[tone] in COMPONENTS


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_texts_have_the_contrast_of_wcag(theme) -> None:  # type: ignore[no-untyped-def]
    """WCAG 2.2, 1.4.3: at least 4.5 for texts; what is dim is told in words too: 3."""

    def luminance(text: str) -> float:
        parts = [channel / 255 for channel in Color.parse(text).rgb]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(f * c for f, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    for name in ("foreground", "primary", "accent", "success", "warning", "error"):
        assert contrast(getattr(theme, name), theme.background) >= 4.5, name
    assert contrast(theme.secondary, theme.background) >= 3
    assert contrast(theme.background, theme.primary) >= 4.5


@pytest.mark.parametrize(
    ("value", "light"), [("0;15", True), ("0;default;7", True), ("15;0", False), ("", False)]
)
def test_the_terminal_may_tell_its_background(value: str, light: bool) -> None:
    assert is_light({"COLORFGBG": value}) is light


def test_nothing_told_is_dark() -> None:
    assert not is_light({})
