"""How one kind of resource differs from the others in core.v1."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from octelium.schema.kinds import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.apiserver.core.caller import Caller
    from octelium.store.transaction import Transaction

READ = frozenset({"Get", "List"})
REVISE = READ | {"Update", "Delete"}
ALL = REVISE | {"Create"}


@dataclass(frozen=True, slots=True)
class ListFilter:
    """A reference in a kind's list options: only what refers to that object is listed."""

    option: str
    """Field of the list options, such as `user_ref`."""
    kind: str
    """Kind of the object referred to."""
    index: str
    """Where the items refer to it, such as `status.userRef`."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a caller is about to do to a stored resource."""

    tx: Transaction
    caller: Caller
    old: Any
    """The resource as it is."""
    new: Any | None = None
    """The resource as an update would leave it."""


class Rules:
    """The verbs of a kind and its hooks. Subclasses are stateless; hooks raise what refuses.

    A hook that refuses raises `Invalid` (INVALID_ARGUMENT) or a `StoreError`.
    """

    name: ClassVar[str]
    verbs: ClassVar[frozenset[str]] = ALL
    hidden: ClassVar[bool] = False
    """Whether reading an object that is `isSystemHidden` is refused."""
    guards_system: ClassVar[bool] = True
    """Whether system objects can be neither updated nor deleted."""
    spec_only: ClassVar[bool] = False
    """Whether an update leaves the metadata alone."""
    named_updates: ClassVar[bool] = True
    """Whether an update must name its object; else a uid is enough."""
    exclusive_lookup: ClassVar[bool] = False
    """Whether uid and name in one look-up are refused; else the name wins."""
    filters: ClassVar[tuple[ListFilter, ...]] = ()

    @property
    def kind(self) -> Kind:
        """What the schema knows of the kind."""
        return KINDS[self.name]

    def stored_name(self, name: str) -> str:
        """The name under which the store knows what a caller calls `name`."""
        return "default" if self.kind.singleton else name

    def prepare(self, tx: Transaction, message: Any) -> None:
        """Give a new object what every object of its kind has from the start."""

    def check_update(self, change: Change) -> None:
        """Refuse an update that the general validation lets pass."""

    def check_delete(self, change: Change) -> None:
        """Refuse a deletion that the general rules let pass."""

    def deleted(self, change: Change) -> None:
        """Delete what cannot exist without the object, in the same transaction."""

    def shown(self, message: Any) -> Any:
        """The form in which the object leaves the API: `message`, or a copy without its payload."""
        if self.kind.has_data and message.HasField("data"):
            copy = type(message)()
            copy.CopyFrom(message)
            copy.ClearField("data")
            return copy
        return message


@cache
def all_rules() -> Mapping[str, Rules]:
    """The rules of every kind of core.v1, by the kind's name."""
    package = importlib.import_module("octelium.apiserver.core.kinds")
    found: dict[str, Rules] = {}
    for module in pkgutil.iter_modules(package.__path__):
        rules: Rules = importlib.import_module(f"{package.__name__}.{module.name}").RULES
        found[rules.name] = rules
    return MappingProxyType(found)
