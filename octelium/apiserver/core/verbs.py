"""Create, update and delete one resource, and look one up, within a transaction.

The same functions serve the single calls of core.v1 and the transactional apply of ext.v1, so a
resource meets the same rules whichever way it comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.rules import Change
from octelium.apiserver.core.view import TransactionView
from octelium.schema.errors import Invalid
from octelium.schema.names import SYSTEM_PREFIX, check_name, check_not_reserved, is_stored_name
from octelium.schema.validation import check_deletion, complete, validate
from octelium.schema.validation.metadata import is_uuid4
from octelium.store.errors import AlreadyExists, NotFound, PermissionDenied, ResourceChanged

if TYPE_CHECKING:
    from octelium.apiserver.core.caller import Caller
    from octelium.apiserver.core.rules import Rules
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.schema.validation import ExpressionChecker
    from octelium.store.reading import Reader
    from octelium.store.transaction import Transaction


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


def missing(rules: Rules, options: meta.GetOptions | meta.DeleteOptions) -> NotFound:
    """What `get` raises if there is none; for who may not know that there is one."""
    return _missing(rules, options.uid, rules.stored_name(options.name))


def _missing(rules: Rules, uid: str, name: str) -> NotFound:
    return NotFound(f"core.v1.{rules.name} {name or uid} does not exist")


def _find(reader: Reader, rules: Rules, uid: str, name: str) -> Any:
    if not uid and not name:
        raise Invalid("", f"which {rules.name} is meant?", "give its name or uid")
    if name and not is_stored_name(name):
        raise Invalid("name", f"{name[:140]!r} is no name of a {rules.name}")
    if not name and not is_uuid4(uid):
        raise Invalid("uid", f"{uid[:64]!r} is not a UUID of version 4")
    if rules.hidden and name.startswith(SYSTEM_PREFIX):
        raise PermissionDenied(f"{rules.name} {name} belongs to the Cluster itself")
    found = reader.find(rules.name, uid=uid, name=name)
    if found is None:
        raise _missing(rules, uid, name)
    return found


def _visible(message: Any, rules: Rules) -> Any:
    if rules.hidden and message.metadata.is_system_hidden:
        raise PermissionDenied(f"this {rules.name} belongs to the Cluster itself")
    return message


class Verbs:
    """The writing verbs. `expressions` compiles the conditions that resources carry."""

    def __init__(self, expressions: ExpressionChecker) -> None:
        self._expressions = expressions

    def create(self, tx: Transaction, rules: Rules, given: Any) -> Any:
        """Create the resource that the caller describes; the stored form.

        Raises:
            Invalid: It breaks a rule.
            AlreadyExists: The name is taken.
        """
        message = candidate(rules, given, None)
        name = message.metadata.name
        check_name(rules.kind, name)
        check_not_reserved(rules.kind, name)
        # Before the rest, which would only report that the namesake is in the way.
        if tx.peek(rules.name, name=name) is not None:
            raise AlreadyExists(f"core.v1.{rules.name} {name} already exists")
        rules.prepare(tx, message)
        self._validate(tx, message, None)
        return tx.create(message)

    def update(
        self, tx: Transaction, rules: Rules, given: Any, caller: Caller, *, if_version: str = ""
    ) -> Any:
        """Replace what the caller may replace of the stored resource; the stored form.

        With `if_version` only if that is the resource's version. The version in `given` says
        nothing: official clients send back what they once read.

        Raises:
            Invalid: It breaks a rule, or does not say which resource it is.
            NotFound: There is no such resource.
            PermissionDenied: It is a system resource or what the caller lives on.
            ResourceChanged: It has another version than `if_version`.
        """
        old = self._target(tx, rules, given)
        if if_version not in ("", old.metadata.resource_version):
            name = old.metadata.name
            raise ResourceChanged(f"core.v1.{rules.name} {name} has been changed: read it again")
        new = candidate(rules, given, old)
        self._validate(tx, new, old)
        rules.check_update(Change(tx, caller, old, new))
        return tx.update(new)

    def delete(
        self, tx: Transaction, rules: Rules, options: meta.DeleteOptions, caller: Caller
    ) -> None:
        """Delete the resource and what cannot exist without it.

        Raises:
            Invalid: Something needs it.
            NotFound: There is no such resource.
            PermissionDenied: It is a system resource or what the caller lives on.
        """
        message = _mutable(get(tx, rules, options), rules)
        change = Change(tx, caller, message)
        rules.check_delete(change)
        check_deletion(message, TransactionView(tx))
        rules.deleted(change)
        tx.delete(rules.name, message.metadata.uid)

    def _validate(self, tx: Transaction, message: Any, old: Any | None) -> None:
        view = TransactionView(tx)
        validate(message, view, old=old, expressions=self._expressions, now=tx.at)
        complete(message, view)

    @staticmethod
    def _target(tx: Transaction, rules: Rules, given: Any) -> Any:
        """The stored resource that an update means."""
        _check_parts(given)
        name = rules.stored_name(given.metadata.name)
        if not name and rules.named_updates:
            raise Invalid("metadata.name", "a name is missing", "name the resource to update")
        return _mutable(_find(tx, rules, given.metadata.uid, name), rules)


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
