"""Writes the parts of docs/ that are made from the code. Usage: write_docs.py [--check]

They stand between `<!-- begin NAME -->` and `<!-- end -->`. With --check nothing is written, and
the exit code is 1 if a document is not as the code is.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import click  # noqa: E402
from list_not_run import table as not_run_table  # noqa: E402
from messages import messages  # noqa: E402

from octelium.cli import exits, menu  # noqa: E402
from octelium.cli.program import program  # noqa: E402
from octelium.cli.verb import ConnectionOption  # noqa: E402
from octelium.cluster.settings import ENVIRONMENT  # noqa: E402
from octelium.policy.cel.functions import FUNCTIONS  # noqa: E402
from octelium.policy.cel.functions import octelium as own_functions  # noqa: E402
from octelium.policy.rego.builtins import OFFERED  # noqa: E402
from octelium.policy.shape.contexts import Attachment, Context, Setting  # noqa: E402
from octelium.schema.pb import core_v1_pb2 as core  # noqa: E402
from octelium.tui.actions import ACTIONS  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.policy.shape.shape import Shape

_REGION = re.compile(r"(<!-- begin ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_DEEP = {
    "session.status.authentication": 1,
    "session.status.authentication.info": 1,
    "user.spec.info": 1,
}
"""Objects of which the members are listed though they lie deep."""
_PLAIN = ("apiVersion", "kind", "metadata")
_METADATA = ("name", "uid", "displayName", "labels", "annotations", "tags", "createdAt")
_MODES = core.ServiceSpecMode__


def _rows(headers: list[str], rows: list[list[str]]) -> str:
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    head = f"| {' | '.join(headers)} |\n|{'---|' * len(headers)}\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in escaped)


# -- commands --------------------------------------------------------------------------------------


def _commands() -> str:
    parts = []
    for name in menu.PROGRAMS:
        parts += _of_group(program(name), name)
    return "\n".join(parts)


def _of_group(group: click.Group, path: str) -> Iterator[str]:
    for name in group.list_commands(_looking_at(group)):
        command = group.get_command(_looking_at(group), name)
        assert command is not None
        here = f"{path} {name}"
        context = _looking_at(command, here)
        if isinstance(command, click.Group):
            if any(_options(command)):
                yield _of_command(command, context, here)
            yield from _of_group(command, here)
        else:
            yield _of_command(command, context, here)


def _looking_at(command: click.Command, name: str | None = None) -> click.Context:
    """As the command makes it itself: what click finds out in one, it remembers for all."""
    return click.Context(command, info_name=name, **command.context_settings)


def _of_command(command: click.Command, context: click.Context, path: str) -> str:
    usage = " ".join(command.collect_usage_pieces(context))
    said = (command.help or command.short_help or "").split("\n\n")[0].replace("\b", "")
    rows = [[f"`{left}`", _text(right)] for left, right in _options(command)]
    told = f"### {path}\n\n`{path} {usage}`\n\n{_text(' '.join(said.split()))}\n"
    return told + (f"\n{_rows(['option', 'what it does'], rows)}" if rows else "")


def _text(text: str) -> str:
    """Plain text as Markdown, in which nothing is taken for a tag."""
    return text.replace("<", "&lt;")


def _options(command: click.Command) -> Iterator[tuple[str, str]]:
    context = _looking_at(command)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not isinstance(parameter, ConnectionOption):
            record = parameter.get_help_record(context)
            if record is not None and "--version" not in parameter.opts:
                yield record


def _connection() -> str:
    rows = [[f"`{flag} {word}`".replace(" `", "`"), text] for flag, word, text in menu.CONNECTION]
    return _rows(["option", "what it does"], rows)


def _exit_codes() -> str:
    text = Path(exits.__file__).read_text(encoding="utf-8")
    told = dict(re.findall(r'^([A-Z_]+) = \d+\n"""(.*?)"""', text, re.MULTILINE | re.DOTALL))
    rows = []
    for name, code in vars(exits).items():
        if name.isupper():
            rows.append([str(code), " ".join(told.get(name, "All went well.").split())])
    return _rows(["code", "meaning"], rows)


def _settings() -> str:
    up = program("octelium").get_command(_looking_at(program("octelium")), "up")
    assert up is not None
    flags = {parameter.name: parameter for parameter in up.params}
    rows = []
    for name, variable in ENVIRONMENT.items():
        option: Any = flags.get(name)
        flag = f"`--{name.replace('_', '-')}`" if option is not None else ""
        told = _text(option.help) if option is not None else "see below"
        rows.append([f"`{name}`", flag, f"`{variable}`", told])
    return _rows(["in the file", "flag", "environment", "what it does"], rows)


def _installer() -> str:
    return _script_options("install.sh")


def _bootstrap() -> str:
    return _script_options("k3s/bootstrap.sh")


def _script_options(script: str) -> str:
    text = (ROOT / script).read_text(encoding="utf-8")
    options = text[text.index("\nOptions, each") : text.index("\nSettings of the Cluster are kept")]
    rows: list[list[str]] = []
    for line in options.splitlines()[2:]:
        if match := re.match(r"  (-h, --help|-\S+(?: [A-Z][A-Z:]*| [a-z|]+(?= ))?)\s+(.*)", line):
            rows.append([f"`{match[1]}`", match[2]])
        elif rows:
            rows[-1][1] += f" {line.strip()}"
    return _rows(["option", "what it does"], [[left, _text(right)] for left, right in rows])


# -- terminal --------------------------------------------------------------------------------------

_KEYS = {"question_mark": "?", "colon": ":", "slash": "/", "right_square_bracket": "]"}


def _keys() -> str:
    rows = []
    for action in ACTIONS:
        key = _KEYS.get(action.keys[0], action.keys[0].replace("shift+", "Shift+"))
        rows.append([action.group, f"`{key}`", action.title])
    rows.sort(key=lambda row: row[0])
    return _rows(["about", "key", "action"], rows)


# -- policies --------------------------------------------------------------------------------------


def _context() -> str:
    served = (_MODES.HTTP, _MODES.WEB, _MODES.GRPC, _MODES.DNS, _MODES.TCP, _MODES.UDP)
    ctx = Context(Setting.ACCESS, frozenset(Attachment(mode) for mode in served)).shape
    assert ctx.members is not None
    rows: list[list[str]] = []
    for name in ("user", "session", "device", "groups", "service", "namespace", "request"):
        shape = ctx.members.get(name)
        assert shape is not None
        rows += _members(name, shape, 2)
    return _rows(["member of `ctx`", "what it is"], rows)


def _members(path: str, shape: Shape, depth: int) -> list[list[str]]:
    depth = max(depth, _DEEP.get(path, 0))
    if shape.members is None or depth == 0:
        return [[f"`{path}`", _words(shape)]]
    rows = []
    names = sorted(shape.members.names())
    for name in names:
        member = shape.members.get(name)
        assert member is not None
        if path.count(".") == 0 and name in _PLAIN:
            continue
        rows += _members(f"{path}.{name}", member, depth - 1)
    if path.count(".") == 0 and "metadata" in names:
        listed = ", ".join(f"`{each}`" for each in _METADATA)
        rows.insert(0, [f"`{path}.metadata`", f"an object: {listed} and others"])
    return rows


def _words(shape: Shape) -> str:
    if shape.values:
        named = [each for each in shape.values if each != shape.zero]
        return "one of " + ", ".join(f"`{each}`" for each in named)
    words = {"a list": "a list", "a map": "a map"}.get(shape.words, shape.words)
    if shape.item is not None:
        kinds = {"a text": "texts", "an object": "objects", "a number": "numbers"}
        words += f" of {kinds.get(shape.item.words, shape.item.words)}"
    if shape.meaning is not None:
        words += f", read by `{shape.meaning.value}()`"
    return words


def _functions() -> str:
    own = {name for name, _ in own_functions.FUNCTIONS}
    rows = []
    for (name, count), function in sorted(FUNCTIONS.items()):
        if name in own and not any(name == f"`{row[0]}`" for row in rows):
            told = " ".join((function.__doc__ or "").split("\n\n")[0].split())
            rows.append([f"`{name}`, {count}", told])
    others = sorted({name for name, _ in FUNCTIONS if name not in own and "@" not in name})
    return (
        _rows(["function, number of arguments", "what it gives"], rows)
        + "\nAnd those of CEL itself and of its libraries for texts, numbers and encodings:\n"
        + _listed(others)
    )


def _rego() -> str:
    return _listed(sorted(OFFERED))


def _listed(names: list[str]) -> str:
    text = ", ".join(f"`{name}`" for name in names)
    return textwrap.fill(f"{text}.", 100, break_on_hyphens=False) + "\n"


# -- troubleshooting -------------------------------------------------------------------------------


def _messages() -> str:
    rows = [[_text(each.problem), _text(each.remedy)] for each in messages()]
    return _rows(["what is said", "what to do"], rows)


REGIONS: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "connection": _connection,
    "exit-codes": _exit_codes,
    "settings": _settings,
    "installer": _installer,
    "bootstrap": _bootstrap,
    "keys": _keys,
    "context": _context,
    "functions": _functions,
    "rego": _rego,
    "messages": _messages,
    "not-run": not_run_table,
}
"""What fills each region."""


def written(text: str) -> str:
    """A document's text with its regions as the code is now. Raises KeyError."""
    return _REGION.sub(lambda match: f"{match[1]}\n{REGIONS[match[2]]()}\n{match[3]}", text)


def main(check: bool) -> int:
    """The exit code."""
    stale = False
    for file in sorted((ROOT / "docs").glob("*.md")):
        text = file.read_text(encoding="utf-8")
        new = written(text)
        if new != text:
            stale = True
            print(f"{file.relative_to(ROOT)}: {'is not as the code is' if check else 'written'}")
            if not check:
                file.write_text(new, encoding="utf-8")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["--check"]))
