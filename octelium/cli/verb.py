"""How a command is declared: with an example in its help, and the connection options."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from octelium.cli import menu
from octelium.cli.invocation import Invocation

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

P = ParamSpec("P")
G = TypeVar("G", bound=click.Group)
Callback = Callable[Concatenate[Invocation, P], int | None]
"""A command's function: gets the Invocation, returns the exit code (None: success)."""


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""How `click` treats every command."""


class ConnectionOption(click.Option):
    """An option that all connecting commands share; its value goes to the Invocation."""


class Verb(click.Command):
    """A command whose function gets the Invocation first."""

    def __init__(self, *args: Any, example: str, connects: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, context_settings=dict(SETTINGS), **kwargs)
        self.example = example
        if connects:
            self.params.extend(connection_options())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command's function."""
        assert self.callback is not None
        return ctx.invoke(self.callback, ctx.ensure_object(Invocation), **ctx.params)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, whose text goes where all output goes."""
        return shown_help(super().get_help_option(ctx))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's own options before those that all commands share."""
        format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Close with the example."""
        format_example(self.example, ctx, formatter)


class VerbGroup(click.Group):
    """A command with commands of its own, one for each kind of resource."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, context_settings=dict(SETTINGS), **kwargs)
        self.example = example
        self.params.extend(connection_options())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command, or the group's own function if there is none."""
        ctx.ensure_object(Invocation)
        return super().invoke(ctx)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, whose text goes where all output goes."""
        return shown_help(super().get_help_option(ctx))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands, the options, then the shared ones."""
        self.format_commands(ctx, formatter)
        format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Close with the example."""
        format_example(self.example, ctx, formatter)


def verb(
    name: str | None = None, *, example: str, connects: bool = True
) -> Callable[[Callable[..., int | None]], Verb]:
    """Declare a command. `example` has one command line per line."""

    def declare(function: Callable[..., int | None]) -> Verb:
        return click.command(name, cls=Verb, example=example, connects=connects)(function)

    return declare


def shown_help(option: click.Option | None) -> click.Option | None:
    """The option `--help` with its text shown by the Terminal, which knows of failing output."""
    if option is not None:
        option.callback = _show_help
    return option


def _show_help(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.ensure_object(Invocation).terminal.show(ctx.get_help())
        ctx.exit()


def connection_options() -> list[click.Option]:
    """The options of the table in `octelium.cli.menu`."""
    options: list[click.Option] = []
    for flag, word, text in menu.CONNECTION:
        is_flag = not word
        option = ConnectionOption(
            [flag],
            metavar=word or None,
            is_flag=is_flag,
            default=None,
            help=text,
            expose_value=False,
            callback=_keep,
            shell_complete=_complete_domain if flag == "--domain" else None,
        )
        options.append(option)
    return options


def _complete_domain(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from octelium.cli.words import DOMAIN

    return DOMAIN.shell_complete(ctx, parameter, incomplete)


def _keep(ctx: click.Context, parameter: click.Parameter, value: str | bool | None) -> None:
    invocation = ctx.ensure_object(Invocation)
    assert parameter.name is not None
    if parameter.name == "logout":
        invocation.logout_wanted = invocation.logout_wanted or bool(value)
    elif value:
        invocation.flags[parameter.name] = str(value)


def format_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write the two sections of options."""
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None and isinstance(parameter, click.Option):
            (shared if isinstance(parameter, ConnectionOption) else own).append(record)
    for title, records in (("Options", own), ("Connection", shared)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def format_example(example: str, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the example's lines as they are, with the program's name for `{program}`."""
    program = ctx.find_root().info_name or ""
    lines = example.replace("{program}", program).strip().splitlines()
    with formatter.section("Examples" if len(lines) > 1 else "Example"):
        for line in lines:
            formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")
