"""shiv with our own start of the zipapp; takes shiv's arguments."""

from __future__ import annotations

from pathlib import Path

from shiv import builder, cli

START = (Path(__file__).parent / "start.py").read_text()
# shiv formats its template.
builder.MAIN_TEMPLATE = START.replace("{", "{{").replace("}", "}}")

if __name__ == "__main__":
    cli.main()
