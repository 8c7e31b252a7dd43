"""Arguments that name kinds and resources, with completion in the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.schema.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem

    from octelium.client.names import Names

_PRIVILEGED = 1024
"""Ports below it are root's; ip_unprivileged_port_start, ip(7)."""
_HIGHER = 8000


class KindAndNames(click.ParamType[str]):
    """The words of `KIND [NAME]...`; completes kinds, then the names that the Cluster knows."""

    name = "words"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Kinds for the first word, names for those after it; `KIND/NAME` as a whole."""
        assert param.name is not None
        before = ctx.params.get(param.name) or ()
        word, slash, _ = incomplete.partition("/")
        if slash:
            return _items((f"{word}/{name}" for name in _names(ctx, word)), incomplete)
        if before:
            word, slash, _ = before[0].partition("/")
            if slash:
                return _items((f"{word}/{name}" for name in _names(ctx, word)), incomplete)
            return _items(_names(ctx, word), incomplete)
        return _items(kind_words(), incomplete)


class KindWord(click.ParamType[str]):
    """One kind."""

    name = "kind"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The kinds' names as files have them."""
        from octelium.schema.kinds import KINDS

        return _items((name for name, kind in KINDS.items() if kind.declarable), incomplete)


class ResourceName(click.ParamType[str]):
    """The name of a resource of one kind; completes those that the Cluster knows."""

    name = "name"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names that begin as typed."""
        return _items(_names(ctx, self.kind), incomplete)


class ServiceName(click.ParamType[str]):
    """The name of a Service to use; completes those that the User may see."""

    name = "service"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names that begin as typed, without the Namespace `default` unless it is typed."""
        return _items((name for name, _ in _services(ctx, incomplete)), incomplete)


class PublicationWord(click.ParamType[str]):
    """What `connect -p` is given; completes Services, each with a port of this host."""

    name = "publication"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """`SERVICE:PORT` with the Service's own port, or the one 8000 higher if that is root's."""
        words = []
        for name, port in _services(ctx, incomplete.partition(":")[0]):
            words.append(f"{name}:{port_here(port) or ''}")
        return _items(words, incomplete)


class DomainWord(click.ParamType[str]):
    """The domain of a Cluster; completes those that this host knows."""

    name = "domain"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> list[CompletionItem]:
        """The domains that begin as typed."""
        return complete_domain(ctx, param, incomplete)


def port_here(port: int) -> int:
    """A port of this host for a Service's: its own, or one that anybody may have; 0 stays 0."""
    return port + _HIGHER if 0 < port < _PRIVILEGED else port


def complete_domain(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[CompletionItem]:
    """The domains of the known Clusters; no Cluster is asked."""
    from octelium.cli.failure import EXPECTED
    from octelium.cli.invocation import Invocation

    client = ctx.ensure_object(Invocation).silent_client()
    try:
        return _items(client.known_domains(), incomplete)
    except EXPECTED:
        return []  # there is nowhere to report to while a person is typing


def each(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> tuple[str, ...]:
    """The words of an option that may be repeated and may hold several, parted by commas."""
    return tuple(word.strip() for text in value for word in text.split(",") if word.strip())


KIND_AND_NAMES = KindAndNames()
KIND = KindWord()
SERVICE = ServiceName()
PUBLICATION = PublicationWord()
DOMAIN = DomainWord()


def kind_words() -> list[str]:
    """The kinds as commands call them."""
    from octelium.schema.kinds import KINDS

    return [kind.command for kind in KINDS.values() if not kind.internal]


def _names(ctx: click.Context, word: str) -> list[str]:
    return _known(ctx).of_kind(word)


def _services(ctx: click.Context, incomplete: str) -> list[tuple[str, int]]:
    """Names and ports; a name in `default` is short, unless more than that is typed."""
    found = []
    for word in _known(ctx).services():
        name, _, port = word.rpartition(":")
        short = name.removesuffix(f".{DEFAULT_NAMESPACE}")
        shown = short if short.startswith(incomplete) else name
        found.append((shown, int(port) if port.isdigit() else 0))
    return found


def _known(ctx: click.Context) -> Names:
    from octelium.cli.invocation import Invocation
    from octelium.client.names import Names

    invocation = ctx.ensure_object(Invocation)
    return Names(invocation.silent_client, invocation.now)


def _items(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
