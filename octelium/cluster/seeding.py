"""The built-in objects of a Cluster that an earlier version made: what is new, what has changed.

Objects of the system are what this version ships, since nobody else can change them. The others
belong to the administrators: one that still is what a version shipped becomes what this version
ships; one that somebody has edited or deleted stays so, and what it differs in is told.

What was shipped, and the first administrator, is kept as fingerprints in a Config that nobody else
sees.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.view import TransactionView
from octelium.cluster import builtin
from octelium.schema.jsonform import to_json
from octelium.schema.kinds import kind_of
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete
from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.store.reading import Reader
    from octelium.store.resources import Resources, Transaction

RECORD = "sys:built-ins"
"""Name of the Config."""

BEFORE: Mapping[str, tuple[str, ...]] = {
    "User/root": ("86bf3e0683c3a7ba",),
    "Policy/allow-all": ("4a4020b71aec872c",),
    "Policy/deny-all": ("bb9fb58b7b0a32a5",),
    "Policy/octelium-api-full-access": ("a42207969837ad60",),
    "Policy/octelium-api-read-only": (
        "ede1b8b8c58d982b",
        "5c8d362c8010ae33",
        "9f1420d5a3d7d241",
    ),
    "Policy/http-read-only": ("362e2de7ae821134",),
    "Service/demo-nginx.default": ("00df9ee6bf5ef25f", "c8b98bcf3fe1cff4"),
}
"""Fingerprints of what was shipped before there was a record; never changed."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """What is known of one object.

    `fingerprints` are of the forms that it may have been shipped in. `kept` is that of an edited
    one which stayed although a version shipped another form; empty if none did.
    """

    fingerprints: tuple[str, ...]
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Differing:
    """A built-in object that is not what this version ships; `why` says so in words."""

    kind: str
    name: str
    why: str


def shipped_objects() -> list[Any]:
    """Every built-in object but the ClusterConfig and Region, in the order of their creation."""
    return [
        *builtin.users(),
        *builtin.namespaces(),
        *builtin.policies(),
        *builtin.services(),
    ]


def key_of(message: Any) -> str:
    """How the record calls an object: `Policy/allow-all`."""
    return f"{kind_of(message).name}/{message.metadata.name}"


def fingerprint(message: Any) -> str:
    """Of a specification: 64 bits of SHA-256 over its JSON form with sorted keys."""
    text = json.dumps(to_json(message.spec), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seed(tx: Transaction) -> None:
    """Make every built-in object, in a store that has none."""
    record = {}
    for message in shipped_objects():
        _create(tx, message)
        record[key_of(message)] = Shipped((fingerprint(message),))
    _write(tx, record)


async def reseed(resources: Resources) -> list[Differing]:
    """Bring the built-in objects of a Cluster to this version, in one transaction.

    Nothing is written if they are. The result is what stayed different.

    Raises:
        StoreUnusable: the record is damaged.
    """
    async with resources.transaction() as tx:
        record = dict(_read(tx))
        for message in shipped_objects():
            key = key_of(message)
            now = _renew(tx, message, record.get(key))
            if now is not None:
                record[key] = now
        _write(tx, record)
    return differing(resources)


def differing(reader: Reader) -> list[Differing]:
    """The objects that stayed as somebody has made them, and have not been changed since.

    Raises:
        StoreUnusable: the record is damaged.
    """
    record, found = _read(reader), []
    for message in shipped_objects():
        kind, name = kind_of(message).name, message.metadata.name
        stored = reader.peek(kind, name=name)
        known = record.get(key_of(message))
        if stored is None:
            continue
        if message.metadata.is_system and not stored.metadata.is_system:
            why = "somebody's own object has this name, and the Cluster's needs it"
            found.append(Differing(kind, name, why))
        elif known is not None and known.kept and known.kept == fingerprint(stored):
            why = "it is an administrator's, and this version ships another form"
            found.append(Differing(kind, name, why))
    return found


def unedited(reader: Reader) -> frozenset[str]:
    """The uids of what the Cluster made at its first start and nobody has edited since.

    Besides the built-in objects these are the first Credential, whenever it expires, and the first
    administrator.

    Raises:
        StoreUnusable: the record is damaged.
    """
    found = set()
    for key, known in _read(reader).items():
        kind, _, name = key.partition("/")
        stored = reader.peek(kind, name=name)
        if stored is not None and fingerprint(stored) in known.fingerprints:
            found.add(stored.metadata.uid)
    first = reader.peek(core.Credential, name=builtin.FIRST_CREDENTIAL)
    if first is not None:
        made = builtin.first_credential(first.spec.expires_at.seconds)
        if fingerprint(made) == fingerprint(first):
            found.add(first.metadata.uid)
    return frozenset(found)


def remember_administrator(tx: Transaction, user: core.User) -> None:
    """Count the first administrator, who is a User of the Cluster's own making, as built in."""
    record = dict(_read(tx))
    shipped = {key_of(message) for message in builtin.users()}
    if not any(key.startswith("User/") and key not in shipped for key in record):
        record[key_of(user)] = Shipped((fingerprint(user),))
        _write(tx, record)


def _renew(tx: Transaction, message: Any, known: Shipped | None) -> Shipped | None:
    """Bring one object to this version; what is known of it then."""
    kind = kind_of(message).name
    stored = tx.find(kind, name=message.metadata.name)
    current = fingerprint(message)
    if stored is None:
        # Who has deleted an ordinary one is right.
        if known is not None and not message.metadata.is_system:
            return known
        _create(tx, message)
        return Shipped((current,))
    if message.metadata.is_system:
        if stored.metadata.is_system:
            _replace(tx, message, stored)
        return Shipped((current,))
    found = fingerprint(stored)
    if found == current:
        return Shipped((current,))
    if known is not None and found in known.fingerprints:
        _replace(tx, message, stored)
        return Shipped((current,))
    if known is not None and known.fingerprints == (current,):
        return known
    return Shipped((current,), kept=found)


def _replace(tx: Transaction, message: Any, stored: Any) -> None:
    """Give a stored object the shipped specification, and what only the Cluster sets."""
    stored.spec.CopyFrom(message.spec)
    if message.metadata.is_system:
        metadata = stored.metadata
        metadata.display_name = message.metadata.display_name
        metadata.is_user_hidden = message.metadata.is_user_hidden
        metadata.system_labels.update(message.metadata.system_labels)
        if isinstance(message, core.Service) and message.status.HasField("managed_service"):
            stored.status.managed_service.CopyFrom(message.status.managed_service)
    complete(stored, TransactionView(tx))
    tx.update(stored)


def _create(tx: Transaction, message: Any) -> None:
    complete(message, TransactionView(tx))
    tx.create(message)


def _read(reader: Reader) -> Mapping[str, Shipped]:
    config = reader.find(core.Config, name=RECORD)
    if config is None:
        return {key: Shipped(fingerprints) for key, fingerprints in BEFORE.items()}
    try:
        return {
            str(key): Shipped(tuple(map(str, value["shipped"])), str(value.get("kept", "")))
            for key, value in json.loads(config.data.value).items()
            if value["shipped"]
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreUnusable(f"Config {RECORD} is damaged: restore a backup") from error


def _write(tx: Transaction, record: Mapping[str, Shipped]) -> None:
    text = json.dumps(
        {
            key: {"shipped": [*known.fingerprints], **({"kept": known.kept} if known.kept else {})}
            for key, known in sorted(record.items())
        }
    )
    config = tx.find(core.Config, name=RECORD)
    if config is not None:
        config.data.value = text
        tx.update(config)
        return
    config = core.Config(api_version="core/v1", kind="Config")
    config.metadata.name = RECORD
    config.metadata.is_system = config.metadata.is_system_hidden = True
    config.spec.SetInParent()
    config.status.SetInParent()
    config.data.value = text
    tx.create(config)
