"""Texts that want to harm a terminal, or who reads it."""

from __future__ import annotations

HOSTILE = (
    "\x1b[2J\x1b[1;1Howned",
    "\x1b]0;title\x07",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1bP+q544e\x1b\\",
    "\x9b31mred\x9c",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "zero\u200bwidth\u200d\ufeff\u2060",
    "[bold red]markup[/] [@click=app.quit]x[/]",
    "a" + "\u0301" * 200,
    "\u0301alone",
    "line\nfeed\rreturn\ttab\x0b\x0c\x85\u2028\u2029",
    "\x00nul\x7fdel\x08\x08\x08back",
    "\U000e0041\U000e0042tags",
    "\ue000private\U0010fffd",
    "\u3164filler\u2800\uffa0",
    "\ud800lone",
    "漢字" * 5000,
    "x" * 10_000,
    "\x1b" * 10_000,
    "v\ufe0f\U000e0100",
)
