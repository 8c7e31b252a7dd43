from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.link import namespace
from octelium.tunnel.link.namespace import NamespaceError, PrivateNamespace
from tests.tunnel.link import worlds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_of_its_own_and_empty(in_link: Callable[[str], str]) -> None:
    in_link("pieces.empty")


def test_root_needs_no_user_namespace(as_root: Callable[[str], str]) -> None:
    as_root("pieces.of_root")


def test_an_ordinary_user_gets_one_with_a_user_namespace(tmp_path: Path) -> None:
    worlds.run("pieces.of_user", "user", tmp_path)


def test_where_it_is_forbidden_the_error_says_what_to_do(in_a_link: Callable[[str], str]) -> None:
    in_a_link("pieces.forbidden")


def test_descriptors_come_back() -> None:
    for each in (PrivateNamespace(3), PrivateNamespace(3, 4)):
        assert PrivateNamespace.of(each.descriptors) == each


def test_what_is_no_namespace_cannot_be_entered() -> None:
    with pytest.raises(NamespaceError, match="enter the network"):
        PrivateNamespace(os.open("/dev/null", os.O_CLOEXEC)).enter()


def test_an_interpreter_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "__file__", "/nowhere")
    with pytest.raises(NamespaceError, match="No such file"):
        namespace.make()
