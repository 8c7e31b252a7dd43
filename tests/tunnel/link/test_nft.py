from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def test_tables_are_as_the_nft_program_reads_them(in_a_link: Callable[[str], str]) -> None:
    in_a_link("pieces.ruleset")


def test_a_table_that_cannot_be_changes_nothing(in_a_link: Callable[[str], str]) -> None:
    in_a_link("pieces.atomic")
