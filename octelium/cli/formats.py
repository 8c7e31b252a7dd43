"""The forms of output that `-o` chooses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.inert import inert_json
from octelium.cli.words import Word
from octelium.schema.unseen import escaped_yaml, has_unseen

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("table", "json", "yaml", "name")


class Format(Word):
    """One of the forms, in any case; `yml` is `yaml`."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        super().__init__("format", lambda *_: choices)
        self.choices = choices

    def get_metavar(
        self,
        param: click.Parameter,  # noqa: ARG002
        ctx: click.Context,  # noqa: ARG002
    ) -> str:
        """The forms, for the help."""
        return "|".join(self.choices)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a form that a command line gives."""
        chosen = {"yml": "yaml"}.get(value.lower(), value.lower())
        if chosen not in self.choices:
            self.fail(f"invalid output format {value!r}: {', '.join(self.choices)}", param, ctx)
        return chosen


def output_option(
    *choices: str, default: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `-o`, given to the command as `output`."""
    return click.option(
        "-o",
        "--out",
        "output",
        type=Format(choices or FORMATS),
        default=default,
        help="The form of the output." + (f" [default: {default}]" if default else ""),
    )


def json_text(value: Any) -> str:
    """JSON over several lines, as the official clients indent it."""
    return inert_json(json.dumps(value, indent=4, ensure_ascii=False))


def json_line(value: Any) -> str:
    """JSON on one line."""
    return inert_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def yaml_text(value: Any) -> str:
    """A plain value as one YAML document, without characters that nobody sees."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Shows texts of several lines as they are."""

    Dumper.add_representer(str, _represent_text)
    text: str = yaml.dump(
        value,
        Dumper=Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return escaped_yaml(text)


def _represent_text(dumper: Any, text: str) -> Any:
    style = '"' if has_unseen(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
