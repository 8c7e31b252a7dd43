"""Whether an edited resource could be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.checker import Checker
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import to_json
from octelium.schema.kinds import KINDS
from octelium.schema.validation import validate  # noqa: F401 - registers the rules
from octelium.schema.validation.metadata import check_metadata
from octelium.schema.validation.rules import Validator, check_resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octelium.replica.replica import Replica

_CHECKER: Final = Checker()
_ANY_NAME: Final = KINDS["Session"]
"""A kind whose names the Cluster makes itself, so that nothing is asked of them."""


class _View:
    """The resources of a replica, as far as validation asks for them.

    What `old` names exists: an edit of another part is not to blame if it does not.
    """

    def __init__(self, replica: Replica, old: Any) -> None:
        self._named = frozenset(_texts(to_json(old)))
        self._by_name: dict[str, Any] = {
            "Namespace": replica.namespaces_by_name,
            "Service": replica.service_by_name,
            "User": replica.users_by_name,
            "Group": replica.groups_by_name,
            "Policy": replica.policies_by_name,
        }

    def get(self, kind: str, name: str) -> Any | None:
        """The resource of that name, or None."""
        entry = self._by_name.get(kind, {}).get(name)
        if entry is None:
            return KINDS[kind].message() if name in self._named else None
        return entry.message

    def list(self, kind: str) -> Iterable[Any]:
        """All resources of a kind."""
        return (entry.message for entry in self._by_name.get(kind, {}).values())

    def labelled(self, kind: str, label: str, value: str) -> Iterable[Any]:  # noqa: ARG002 - the Protocol's signature
        """Nothing: no edit touches what is indexed, a User's e-mail address and identities."""
        return ()


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def fault(message: Any, old: Any, replica: Replica, now: float) -> str:
    """What the API would have against a resource in the place of `old`; empty if nothing.

    Its own name and uid are not looked at: no edit changes them.
    """
    named = type(message.metadata)()
    named.CopyFrom(message.metadata)
    for part in ("uid", "name"):
        named.ClearField(part)
    validator = Validator(view=_View(replica, old), expressions=_CHECKER, now=now, old=old)
    try:
        check_metadata(_ANY_NAME, named)
        check_resource(message, validator)
    except Invalid as error:
        return str(error)
    return ""
