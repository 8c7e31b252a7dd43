"""Groups that an IdentityProvider's assertion names.

An IdentityProvider whose annotation `groups-config` names a Config takes groups by that Config:

    kind: Config
    metadata:
      name: okta-groups
    data:
      attrs:
        groups: ctx.assertionMap.groups

`groups` is a CEL expression over the context of `aalRules` that results in a list of strings. What
the assertion does not hold makes no groups; any other failure refuses the login, since a policy
may deny by what is in the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import CompileError, EvaluationError, MissingDataError
from octelium.policy.cel.program import compile_program
from octelium.policy.cel.values import ABSENT
from octelium.schema.errors import Invalid

if TYPE_CHECKING:
    from octelium.policy.cel.values import Frame
    from octelium.schema.pb import core_v1_pb2 as core

MOST: Final = 256
"""Groups of one assertion."""
LONGEST: Final = 256
"""Characters of a group."""
MOST_BYTES: Final = 16 << 10
"""Of all groups together: decisions read the Session that holds them."""
_MAYBE_LIST: Final = frozenset({"LIST", "DYN"})


class GroupsError(ValueError):
    """The groups of an assertion that cannot be taken; the text says why."""


def expression_of(config: core.Config, path: str = "data.attrs") -> str:
    """The expression that a Config holds, compiled for a check.

    Raises:
        Invalid: the Config does not have the form above.
    """
    if config.data.WhichOneof("type") != "attrs":
        raise Invalid("data", "holds no settings for groups", "write data.attrs.groups")
    for name in config.data.attrs.fields:
        if name != "groups":
            raise Invalid(f"{path}.{name}", "is not known here", "the only member is groups")
    text: Any = config.data.attrs.fields["groups"]
    if text.WhichOneof("kind") != "string_value":
        raise Invalid(f"{path}.groups", "is no CEL expression", "write ctx.assertionMap.groups")
    try:
        program = compile_program(text.string_value)
    except CompileError as error:
        raise Invalid(f"{path}.groups", str(error)) from None
    if program.type.partition("<")[0] not in _MAYBE_LIST:
        raise Invalid(
            f"{path}.groups",
            f"results in a value of type {program.type}",
            "the expression must result in a list of strings",
        )
    return program.text


def groups(expression: str, frame: Frame) -> list[str]:
    """The groups that `expression` takes from an assertion, each once, in their order.

    Raises:
        GroupsError: the expression fails, or results in anything but a list of strings that is
            within the limits.
    """
    try:
        value = compile_program(expression).evaluate(frame)
    except MissingDataError:
        return []
    except (CompileError, EvaluationError) as error:
        raise GroupsError(f"groups: {error}") from error
    if value is ABSENT:
        return []
    if not isinstance(value, list):
        raise GroupsError("groups: the expression does not result in a list")
    found: dict[str, None] = {}
    for item in value:
        if not isinstance(item, str) or not 0 < len(item) <= LONGEST or not item.isprintable():
            raise GroupsError(
                f"groups: {str(item)[:60]!r} is no text of 1 to {LONGEST} printable characters"
            )
        found[item] = None
    if len(found) > MOST or sum(len(item.encode()) for item in found) > MOST_BYTES:
        raise GroupsError(
            f"groups: {len(found)} groups are too many; at most {MOST} and {MOST_BYTES >> 10} KiB "
            "are taken: choose those that policies need with filter()"
        )
    return list(found)
