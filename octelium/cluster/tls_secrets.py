"""The Secrets that hold the Cluster's certificates and its own CA.

The CA issues a certificate for each Namespace that comes, because a wildcard covers one label only.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from octelium.cluster.certificates import (
    CertificateError,
    Pair,
    check_names,
    check_pair,
    cluster_names,
    issue,
    namespace_names,
)
from octelium.http.tasks import spawn
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.store.resources import Committed, Resources, Transaction

_LOG = logging.getLogger(__name__)
AUTHORITY = "sys:cluster-ca"
LABEL = "octelium-cert"
_COVERED = frozenset({"default", "octelium", "octelium-api"})
"""Namespaces whose names the Cluster's own certificate has."""


def name_of(namespace: str) -> str:
    """The Secret that holds the certificate of a Namespace's Services."""
    return f"crt-ns-{namespace}"


def put(tx: Transaction, namespace: str, pair: Pair) -> None:
    """Make or replace the certificate of a Namespace."""
    _put(tx, name_of(namespace), pair, {LABEL: "true"})


def put_authority(tx: Transaction, authority: Pair) -> None:
    """Keep the Cluster's own CA."""
    _put(tx, AUTHORITY, authority, {})


def _put(tx: Transaction, name: str, pair: Pair, labels: dict[str, str]) -> None:
    found = tx.find(core.Secret, name=name)
    secret = found if found is not None else core.Secret(api_version="core/v1", kind="Secret")
    secret.metadata.name = name
    secret.metadata.is_system = True
    secret.metadata.is_system_hidden = True
    secret.metadata.system_labels.update(labels)
    secret.spec.data.value = pair.chain
    secret.data.value = pair.key
    secret.status.SetInParent()
    if found is None:
        tx.create(secret)
    else:
        tx.update(secret)


def authority_of(tx: Transaction | Resources) -> Pair:
    """The Cluster's own CA.

    Raises:
        NotFound: there is none.
    """
    secret = tx.get(core.Secret, name=AUTHORITY)
    return Pair(secret.spec.data.value, secret.data.value)


def authority_in_use(resources: Resources) -> str:
    """The certificate (PEM) of the Cluster's own CA if its front door's certificate is of it."""
    ca = resources.peek(core.Secret, name=AUTHORITY)
    front = resources.peek(core.Secret, name=name_of("default"))
    if ca is None or front is None:
        return ""
    pem = ca.spec.data.value
    return pem if pem and front.spec.data.value.endswith(pem) else ""


def _names(namespace: str, domain: str) -> list[str]:
    return cluster_names(domain) if namespace == "default" else namespace_names(namespace, domain)


async def install(
    resources: Resources, domain: str, namespace: str, pair: Pair, *, force: bool = False
) -> None:
    """Replace the certificate of a Namespace's Services; listeners take it at once.

    With `force` it need not cover the names that clients use.

    Raises:
        CertificateError: the pair cannot be used.
        NotFound: there is no such Namespace.
    """
    leaf = check_pair(pair)
    if not force:
        try:
            check_names(leaf, _needed(namespace, domain))
        except CertificateError as error:
            raise CertificateError(f"{error}; --force installs it all the same") from error
    async with resources.transaction() as tx:
        tx.get(core.Namespace, name=namespace)
        put(tx, namespace, pair)


def _needed(namespace: str, domain: str) -> list[str]:
    if namespace == "default":
        return [domain, f"octelium-api.{domain}"]
    return [f"any.{namespace}.{domain}"]


async def install_own(resources: Resources, domain: str, namespace: str) -> None:
    """Go back to a certificate of the Cluster's own CA.

    Raises:
        NotFound: there is no such Namespace, or no CA.
    """
    async with resources.transaction() as tx:
        tx.get(core.Namespace, name=namespace)
        put(tx, namespace, issue(authority_of(tx), _names(namespace, domain)))


async def issue_missing(resources: Resources, domain: str) -> None:
    """Give each Namespace its certificate, and drop those of Namespaces that are gone."""
    async with resources.transaction() as tx:
        namespaces = {item.metadata.name for item in tx.peek_all(core.Namespace)} - _COVERED
        held = {
            item.metadata.name: item.metadata.uid
            for item in tx.peek_all(core.Secret)
            if item.metadata.system_labels.get(LABEL) == "true"
        }
        for namespace in sorted(namespaces):
            if name_of(namespace) not in held:
                put(tx, namespace, issue(authority_of(tx), namespace_names(namespace, domain)))
        kept = {name_of(namespace) for namespace in namespaces | _COVERED}
        for name, uid in held.items():
            if name not in kept:
                tx.delete(core.Secret, uid)


def follow(resources: Resources, domain: str) -> Callable[[], None]:
    """Do `issue_missing` whenever a Namespace comes or goes; returns what ends that."""

    def take(committed: Committed) -> None:
        if any(
            change.kind == "Namespace" and (change.before is None or change.after is None)
            for change in committed.changes
        ):
            spawn(issue_missing(resources, domain), name="certificates of Namespaces")

    return resources.subscribe(take)
