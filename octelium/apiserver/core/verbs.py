"""Create, update and delete one resource, and look one up, within a transaction.

The same functions serve the single calls of core.v1 and the transactional apply of ext.v1, so a
resource meets the same rules whichever way it comes.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Protocol

from octelium.apiserver.core.rules import Change
from octelium.schema.errors import Invalid
from octelium.schema.names import is_stored_name
from octelium.store.errors import AlreadyExists, NotFound, PermissionDenied

if TYPE_CHECKING:
    from octelium.apiserver.core.caller import Caller
    from octelium.apiserver.core.rules import Rules
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.reading import Reader
    from octelium.store.resources import Transaction

_SYSTEM_PREFIX = "sys:"


class Validator(Protocol):
    """Checks a resource and computes what the Cluster itself knows of it."""

    def __call__(self, tx: Transaction, message: Any, old: Any | None) -> None:
        """Complete `message` in place.

        Raises:
            Invalid: It breaks a rule, or refers to something that does not exist.
        """


def get(reader: Reader, rules: Rules, options: meta.GetOptions | meta.DeleteOptions) -> Any:
    """The resource that `options` mean.

    Raises:
        Invalid: Neither uid nor name, or one that cannot be right.
        NotFound: There is none.
        PermissionDenied: It is the Cluster's own and hidden.
    """
    uid, name = options.uid, rules.stored_name(options.name)
    if uid and name and rules.exclusive_lookup:
        raise Invalid("", "uid and name are both set", "give one of them")
    return _visible(_find(reader, rules, uid, name), rules)


def _find(reader: Reader, rules: Rules, uid: str, name: str) -> Any:
    if not uid and not name:
        raise Invalid("", f"which {rules.name} is meant?", "give its name or uid")
    if name and not is_stored_name(name):
        raise Invalid("name", f"{name[:140]!r} is no name of a {rules.name}")
    if not name:
        check_uid(uid)
    if rules.hidden and name.startswith(_SYSTEM_PREFIX):
        raise PermissionDenied(f"{rules.name} {name} belongs to the Cluster itself")
    found = reader.find(rules.name, uid=uid, name=name)
    if found is None:
        raise NotFound(f"core.v1.{rules.name} {name or uid} does not exist")
    return found


def _visible(message: Any, rules: Rules) -> Any:
    if rules.hidden and message.metadata.is_system_hidden:
        raise PermissionDenied(f"this {rules.name} belongs to the Cluster itself")
    return message


def check_uid(text: str, path: str = "uid") -> None:
    """Refuse what is not a version 4 UUID in its canonical form."""
    try:
        right = str(uuid.UUID(text)) == text.lower() and uuid.UUID(text).version == 4
    except ValueError:
        right = False
    if not right:
        raise Invalid(path, f"{text[:64]!r} is not a UUID of version 4")


class Verbs:
    """The writing verbs."""

    def __init__(self, validate: Validator) -> None:
        self._validate = validate

    def create(self, tx: Transaction, rules: Rules, given: Any) -> Any:
        """Create the resource that the caller describes; the stored form.

        Raises:
            Invalid: It breaks a rule.
            AlreadyExists: The name is taken.
        """
        message = candidate(rules, given, None)
        self._validate(tx, message, None)
        name = message.metadata.name
        if tx.find(rules.name, name=name) is not None:
            raise AlreadyExists(f"core.v1.{rules.name} {name} already exists")
        return tx.create(message)

    def update(self, tx: Transaction, rules: Rules, given: Any, caller: Caller) -> Any:
        """Replace what the caller may replace of the stored resource; the stored form.

        Raises:
            Invalid: It breaks a rule, or does not say which resource it is.
            NotFound: There is no such resource.
            PermissionDenied: It is a system resource or the caller's own support.
        """
        old = self.target(tx, rules, given)
        new = candidate(rules, given, old)
        self._validate(tx, new, old)
        rules.check_update(Change(tx, caller, old, new))
        return tx.update(new)

    def target(self, tx: Transaction, rules: Rules, given: Any) -> Any:
        """The stored resource that an update means.

        Raises:
            Invalid: It does not say which.
            NotFound: There is no such resource.
            PermissionDenied: It is a system resource.
        """
        _check_parts(given)
        name = rules.stored_name(given.metadata.name)
        if not name and rules.named_updates:
            raise Invalid("metadata.name", "a name is missing", "name the resource to update")
        return self._mutable(_find(tx, rules, given.metadata.uid, name), rules)

    def delete(
        self, tx: Transaction, rules: Rules, options: meta.DeleteOptions, caller: Caller
    ) -> Any:
        """Delete the resource and what cannot exist without it; its last form.

        Raises:
            Invalid: Something needs it.
            NotFound: There is no such resource.
            PermissionDenied: It is a system resource or the caller's own support.
        """
        message = self._mutable(get(tx, rules, options), rules)
        change = Change(tx, caller, message)
        rules.check_delete(change)
        rules.deleted(change)
        return tx.delete(rules.name, message.metadata.uid)

    @staticmethod
    def _mutable(message: Any, rules: Rules) -> Any:
        if rules.guards_system and message.metadata.is_system:
            raise PermissionDenied("This is a System Resource")
        return message


def candidate(rules: Rules, given: Any, old: Any | None) -> Any:
    """What would be stored if the caller's wish came true, not validated yet.

    Of the metadata only what belongs to the caller is taken; status never.

    Raises:
        Invalid: Metadata or spec is missing.
    """
    _check_parts(given)
    message = rules.kind.message()
    if old is None:
        message.api_version, message.kind = rules.kind.api, rules.name
        message.metadata.name = rules.stored_name(given.metadata.name)
        message.status.SetInParent()
    else:
        message.CopyFrom(old)
    if old is None or not rules.spec_only:
        _take_metadata(given.metadata, message.metadata)
    message.spec.CopyFrom(given.spec)
    if rules.kind.has_data:
        message.ClearField("data")
        if given.HasField("data"):
            message.data.CopyFrom(given.data)
    return message


def _take_metadata(given: meta.Metadata, target: meta.Metadata) -> None:
    """The fields that belong to the caller; the rest belongs to the Cluster."""
    target.display_name = given.display_name
    target.description = given.description
    target.pic_url = given.pic_url
    target.labels.clear()
    target.labels.update(given.labels)
    target.annotations.clear()
    target.annotations.update(given.annotations)
    del target.tags[:]
    target.tags.extend(given.tags)


def _check_parts(given: Any) -> None:
    for part in ("metadata", "spec"):
        if not given.HasField(part):
            raise Invalid(part, f"{part} is missing", "an empty one ({}) will do")
