"""Programs and groups of commands; each command is loaded when it is used."""

from __future__ import annotations

import difflib
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from octelium import __version__
from octelium.cli import exits, menu
from octelium.cli.failure import EXPECTED, Failed, report
from octelium.cli.invocation import Invocation
from octelium.cli.terminal import silence_stderr
from octelium.cli.verb import SETTINGS, connection_options, shown_help
from octelium.client.errors import ApiError, NotLoggedIn

if TYPE_CHECKING:
    from collections.abc import MutableMapping


_FIXED = "OCTELIUM_ACCESS_TOKEN"


class MenuGroup(click.Group):
    """A group whose commands stand in the table of `octelium.cli.menu`."""

    def __init__(self, entry: menu.Group) -> None:
        super().__init__(entry.name, context_settings=dict(SETTINGS), no_args_is_help=False)
        self.entry = entry
        if entry.connects:
            self.params.extend(connection_options())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; without any argument, show what there is."""
        if not args and not ctx.resilient_parsing:
            ctx.ensure_object(Invocation).terminal.note(self.get_help(ctx))
            ctx.exit(exits.USAGE)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of the commands."""
        return list(self.entry.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command by its name or an alias."""
        entry = self.entry.find(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args and not args[0].startswith("-") and self.entry.find(args[0]) is None:
            ctx.fail(f"There is no command {args[0]!r}.{_hint(self.entry, args[0])}")
        return super().resolve_command(ctx, args)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, whose text goes where all output goes."""
        return shown_help(super().get_help_option(ctx))

    def get_help(self, ctx: click.Context) -> str:
        """The text that needs no command to be loaded."""
        return menu.group_help_text(self.entry, ctx.command_path)


def _hint(group: menu.Group, word: str) -> str:
    """Which command may have been meant: one further down, of another program, or nearly that."""
    name = group.name
    for below, commands in menu.BELOW.get(name, ()):
        if commands.find(word) is not None:
            return f" Did you mean '{name} {below} {word}'?"
    if name in menu.PROGRAMS:
        for other, program in menu.PROGRAMS.items():
            if program.find(word) is not None:
                return f" Did you mean '{other} {word}'?"
    close = difflib.get_close_matches(word, group.commands, 1)
    return f" Did you mean {close[0]!r}?" if close else ""


class ProgramGroup(MenuGroup):
    """A program."""

    def __init__(self, program: menu.Program) -> None:
        super().__init__(program)
        self.program = program
        self.params.append(_version_option())

    def get_help(self, ctx: click.Context) -> str:  # noqa: ARG002
        """The text that needs no command to be loaded."""
        return menu.help_text(self.program)

    def _main_shell_completion(
        self, ctx_args: MutableMapping[str, Any], prog_name: str, complete_var: str | None = None
    ) -> None:
        """Answer a shell that asks what may come next, if one does."""
        variable = complete_var or f"_{prog_name}_COMPLETE".replace("-", "_").upper()
        if not os.environ.get(variable):
            return
        silence_stderr()  # its reader is in the midst of a line
        try:
            super()._main_shell_completion(ctx_args, prog_name, variable)
        except Exception:  # noqa: BLE001  (whatever it is, a traceback would stand in that line)
            raise SystemExit(exits.FAILED) from None

    def run(self, arguments: list[str], invocation: Invocation | None = None) -> int:
        """Run the command that the arguments name and return the exit code.

        What goes wrong is reported on stderr. Bugs are raised.
        """
        invocation = invocation or Invocation()
        if arguments[:1] == ["help"]:
            arguments = [*arguments[1:], "--help"]
        try:
            return self._run(arguments, invocation)
        except click.NoSuchOption as error:
            # What would end the Session is nothing to try out.
            error.possibilities = [
                option for option in error.possibilities or () if option != "--logout"
            ]
            error.show()
            if error.ctx is not None and error.ctx.command is self:
                invocation.terminal.note("  options of a command stand after it")
            return exits.USAGE
        except click.UsageError as error:
            error.show()
            return exits.USAGE
        except Failed as error:
            return error.exit_code
        except click.ClickException as error:
            invocation.terminal.fail(error.format_message())
            return exits.FAILED
        except click.Abort:
            invocation.terminal.note("Interrupted.")
            return exits.INTERRUPTED
        except EXPECTED as error:
            report(error, invocation.terminal)
            _tell_more(error, invocation)
            return exits.FAILED
        finally:
            invocation.close()

    def _run(self, arguments: list[str], invocation: Invocation) -> int:
        result: Any = self.main(
            arguments, prog_name=self.program.name, standalone_mode=False, obj=invocation
        )
        code = result if isinstance(result, int) else exits.OK
        if code == exits.OK:
            invocation.finish()
        return code


def _tell_more(error: Exception, invocation: Invocation) -> None:
    """What the settings have to do with an error.

    Where one is not logged in, the domain may have been mistyped; a token that is refused may be
    that of the environment.
    """
    is_refused = isinstance(error, ApiError) and error.code == "UNAUTHENTICATED"
    if is_refused and invocation.environ.get(_FIXED):
        invocation.terminal.note(
            f"  {_FIXED} is set, and what it holds is not good any more: unset it to use the login "
            "that is remembered"
        )
    if not isinstance(error, NotLoggedIn):
        return
    try:
        meant = invocation.client.domain
        others = [domain for domain in invocation.client.logins.domains() if domain != meant]
    except EXPECTED:
        return  # what went wrong has been told
    if others:
        close = difflib.get_close_matches(meant, others, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        invocation.terminal.note(f"  you are logged in to {', '.join(others)}{hint}")


def _version_option() -> click.Option:
    def show(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            name = ctx.find_root().info_name
            ctx.ensure_object(Invocation).terminal.show(f"{name} {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help=menu.VERSION_HELP,
        callback=show,
    )


def program(name: str) -> ProgramGroup:
    """The program of that name. Raises KeyError."""
    return ProgramGroup(menu.PROGRAMS[name])
