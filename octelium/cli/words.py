"""Arguments that name kinds and resources, with completion in the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem

_MOST = 200


class KindAndNames(click.ParamType[str]):
    """The words of `KIND [NAME]...`; completes kinds, then the names that the Cluster knows."""

    name = "words"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Kinds for the first word, names for those after it."""
        assert param.name is not None
        before = ctx.params.get(param.name) or ()
        if before:
            return _items(_names(ctx, before[0]), incomplete)
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


def each(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> tuple[str, ...]:
    """The words of an option that may be repeated and may hold several, parted by commas."""
    return tuple(word.strip() for text in value for word in text.split(",") if word.strip())


KIND_AND_NAMES = KindAndNames()
KIND = KindWord()


def kind_words() -> list[str]:
    """The kinds as commands call them."""
    from octelium.schema.kinds import KINDS

    return [kind.command for kind in KINDS.values() if not kind.internal]


def _names(ctx: click.Context, word: str) -> list[str]:
    from octelium.cli.failure import EXPECTED
    from octelium.cli.invocation import Invocation
    from octelium.client.resources import Page
    from octelium.schema.kinds import find_kind

    invocation = ctx.ensure_object(Invocation)
    try:
        page = invocation.client.resources.list_page(find_kind(word), Page(size=_MOST))
    except EXPECTED:
        return []  # there is nowhere to report to while a person is typing
    finally:
        invocation.close()
    return [item.metadata.name for item in page.items]


def _items(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
