"""Exit codes of every command."""

from __future__ import annotations

OK = 0
FAILED = 1
"""Something that was asked for was not done."""
DIFFERENT = 1
"""`diff` found a difference."""
USAGE = 2
"""The command line makes no sense; for `policy test`, or the files it is given."""
UNKNOWN = 3
"""`diff` could not find out."""
INTERRUPTED = 130
"""Ctrl-C: 128 and the signal's number, as shells do it."""
READER_GONE = 141
"""Nobody reads the output any more: 128 and the number of SIGPIPE."""
