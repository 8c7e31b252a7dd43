"""Arguments that name kinds and resources, with completion in the shell."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.services import NAMESPACE_WORDS, SERVICE_WORDS, short
from octelium.schema.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from click.shell_completion import CompletionItem

    from octelium.client.names import Names

    Offer = Callable[[click.Context, click.Parameter, str], Iterable[str]]
    """Words for what is typed; those that do not begin so are left out."""

_PRIVILEGED = 1024
"""Ports below it are root's; ip_unprivileged_port_start, ip(7)."""
_HIGHER = 8000
_GOING_ON = "_OCTELIUM_GOING_ON"
"""Set for the process that answers for the next time."""


class Word(click.ParamType[str]):
    """A text of which a shell completes what `offer` gives."""

    def __init__(self, name: str, offer: Offer) -> None:
        self.name = name
        self._offer = offer

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin as typed, after those of the same text that stand before commas."""
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",") if param.multiple else ("", "", incomplete)
        words = (word for word in self._offer(ctx, param, last) if word.startswith(last))
        return [CompletionItem(f"{before}{comma}{word}") for word in words]


class FileWord(click.ParamType[str]):
    """A file or directory, which nothing is known of before it is used."""

    name = "path"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The shell knows them."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class UserKind(Word):
    """What `octelium get` lists, or `service/NAME`."""

    def __init__(self) -> None:
        super().__init__("kind", lambda *_: ("service", "services", "namespaces"))

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the word."""
        from octelium.schema.kinds import find_kind

        word = value.partition("/")[0]
        known = (*SERVICE_WORDS, *NAMESPACE_WORDS)
        if word.lower() in known:
            return word.lower() + value[len(word) :]
        close = difflib.get_close_matches(word, known, 1)
        try:
            others = find_kind(word).plural
        except Invalid:
            shown = ascii(value[:60])[1:-1]
            own = f"a Service of this name is shown by: octelium get service {shown}"
            remedy = f"did you mean {close[0]!r}?" if close else own
        else:
            remedy = f"octeliumctl get {word} shows {others} to administrators"
        raise click.BadParameter(
            f"{value[:60]!r} is neither service nor namespace; {remedy}", ctx, param
        )


def resource_name(kind: str) -> Word:
    """The name of a resource of one kind; completes those that the Cluster knows."""
    return Word("name", lambda ctx, *_: _known(ctx).of_kind(kind))


def port_here(port: int) -> int:
    """A port of this host for a Service's: its own, or one that anybody may have; 0 stays 0."""
    return port + _HIGHER if 0 < port < _PRIVILEGED else port


def each(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> tuple[str, ...]:
    """The words of an option that may be repeated and may hold several, parted by commas."""
    return tuple(word.strip() for text in value for word in text.split(",") if word.strip())


def kind_words() -> list[str]:
    """The kinds as commands call them."""
    from octelium.schema.kinds import KINDS

    return [kind.command for kind in KINDS.values() if not kind.internal]


def _kinds(*_: Any) -> list[str]:
    """The kinds as files have them."""
    from octelium.schema.kinds import KINDS

    return [name for name, kind in KINDS.items() if kind.declarable]


def _kind_and_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Kinds for the first word, names for those after it; `KIND/NAME` as a whole."""
    assert param.name is not None
    before = ctx.params.get(param.name) or ()
    kind, slash, _ = (before[0] if before else incomplete).partition("/")
    if not before and not slash:
        return kind_words()
    prefix = f"{kind}/" if slash else ""
    return [f"{prefix}{name}" for name in _known(ctx).of_kind(kind)]


def _services(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The Services that the User may see."""
    return [name for name, _ in _with_ports(ctx, incomplete)]


def _publications(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """`SERVICE:PORT` with the Service's own port, or the one 8000 higher if that is root's."""
    services = _with_ports(ctx, incomplete.partition(":")[0])
    return [f"{name}:{port_here(port) or ''}" for name, port in services]


def _domains(ctx: click.Context, *_: Any) -> list[str]:
    """The domains of the known Clusters; no Cluster is asked."""
    from octelium.cli.failure import EXPECTED
    from octelium.cli.invocation import Invocation

    client = ctx.ensure_object(Invocation).silent_client()
    try:
        return client.known_domains()
    except EXPECTED:
        return []  # there is nowhere to report to while a person is typing


def _with_ports(ctx: click.Context, incomplete: str) -> list[tuple[str, int]]:
    """Names and ports; a name in `default` is short, unless more than that is typed."""
    found = []
    for word in _known(ctx).services():
        name, _, port = word.rpartition(":")
        shown = short(name) if short(name).startswith(incomplete) else name
        found.append((shown, int(port) if port.isdigit() else 0))
    return found


def _known(ctx: click.Context) -> Names:
    from octelium.cli.invocation import Invocation
    from octelium.client.names import GOING_ON, Names

    invocation = ctx.ensure_object(Invocation)
    if invocation.environ.get(_GOING_ON):
        return Names(invocation.silent_client, invocation.now, seconds=GOING_ON)
    program = ctx.find_root().info_name or ""
    return Names(
        invocation.silent_client,
        invocation.now,
        go_on=lambda: _ask_again(program, invocation.environ),
    )


def _ask_again(program: str, environ: Mapping[str, str]) -> None:
    """Have another process answer the same question with more time, and remember the names."""
    from octelium.client.tunnel.detach import start_apart

    start_apart([program], {**environ, _GOING_ON: "1"})


KIND_AND_NAMES = Word("words", _kind_and_names)
"""The words of `KIND [NAME]...`."""
KIND = Word("kind", _kinds)
SERVICE = Word("service", _services)
"""The name of a Service to use."""
PUBLICATION = Word("publication", _publications)
"""What `connect -p` is given."""
DOMAIN = Word("domain", _domains)
"""The domain of a Cluster that this host knows."""
USER_KIND = UserKind()
FILE = FileWord()
