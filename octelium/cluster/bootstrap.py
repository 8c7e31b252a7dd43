"""The first start: the objects that every Cluster begins with, and the first way in."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.view import TransactionView
from octelium.cluster import builtin, private_file, seeding, tls_secrets
from octelium.cluster.builtin import FIRST_CREDENTIAL
from octelium.cluster.certificates import cluster_names, issue, make_authority
from octelium.cluster.private_file import PrivateFileError
from octelium.identity.keys import rotate
from octelium.schema.kinds import KINDS
from octelium.schema.names import check_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete
from octelium.store.errors import AlreadyExists

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.identity.authentication import Authentication
    from octelium.store.resources import Resources, Transaction

_LOG = logging.getLogger(__name__)
_ALLOW_ALL = "allow-all"
_FIRST_CREDENTIAL_DAYS = 180


class BootstrapError(Exception):
    """The store is not this Cluster's, or the first token cannot be saved; the text says which."""


async def bootstrap(resources: Resources, domain: str, ca_file: Path) -> bool:
    """Make what a Cluster begins with, in one transaction; whether this is the first start.

    The certificate of the new CA is written to `ca_file`. The built-in objects of a Cluster that an
    earlier version made become those of this version, unless somebody has edited them.

    Raises:
        BootstrapError: the store belongs to a Cluster of another domain.
        StoreUnusable: the record of built-in objects is damaged.
    """
    config = resources.peek(core.ClusterConfig, name="default")
    if config is not None:
        if config.status.domain != domain:
            raise BootstrapError(
                f"--domain: this data directory belongs to {config.status.domain}, not to {domain};"
                " use that domain or another --data-dir"
            )
        for one in await seeding.reseed(resources):
            _LOG.warning("built-in %s %s stays as it is: %s", one.kind, one.name, one.why)
        return False
    if resources.revision:
        raise BootstrapError(
            "the store holds resources but no ClusterConfig; it is not a Cluster's"
        )
    authority = make_authority(domain)
    async with resources.transaction() as tx:
        for message in (builtin.cluster_config(domain), builtin.region()):
            _create(tx, message)
        seeding.seed(tx)
        rotate(tx, time.time())
        tls_secrets.put_authority(tx, authority)
        tls_secrets.put(tx, "default", issue(authority, cluster_names(domain)))
        _create(tx, _first_credential())
        # Before the commit, so that a start that fails here begins anew next time.
        ca_file.write_text(authority.chain)  # noqa: ASYNC240  (before anything is served)
    return True


def _create(tx: Transaction, message: Any) -> Any:
    complete(message, TransactionView(tx))
    return tx.create(message)


def _first_credential() -> core.Credential:
    return builtin.first_credential(time.time() + _FIRST_CREDENTIAL_DAYS * 86400)


def add_administrator(tx: Transaction, name: str) -> core.User:
    """A person of that name who may do everything, by the Policy `allow-all`.

    One who is there already and may do so is that person. The first counts among what the Cluster
    begins with.

    Raises:
        Invalid: the name is none.
        AlreadyExists: there is another User of that name, whose rights are not changed.
        NotFound: the Policy is gone.
    """
    check_name(KINDS["User"], name)
    tx.get(core.Policy, name=_ALLOW_ALL)
    former = tx.find(core.User, name=name)
    if former is not None and _ALLOW_ALL in former.spec.authorization.policies:
        return former
    if former is not None:
        raise AlreadyExists(
            f"{name} is there already, without the Policy {_ALLOW_ALL}: leave out --administrator, "
            "or take another name"
        )
    user = core.User(api_version="core/v1", kind="User")
    user.metadata.name = name
    user.spec.type = core.UserSpecType__.HUMAN
    user.spec.authorization.policies.append(_ALLOW_ALL)
    made: core.User = _create(tx, user)
    seeding.remember_administrator(tx, made)
    return made


def awaits_first_token(resources: Resources) -> bool:
    """Whether the first Credential never had a token, because the first start is under way."""
    credential = resources.peek(core.Credential, name=FIRST_CREDENTIAL)
    return credential is not None and not credential.status.token_id


async def first_token(resources: Resources, authentication: Authentication) -> str:
    """A token of the first Credential, made anew if it is gone; every earlier one is void then."""
    async with resources.transaction() as tx:
        credential = tx.find(core.Credential, name=FIRST_CREDENTIAL)
        if credential is not None and credential.spec.expires_at.seconds <= time.time():
            tx.delete(core.Credential, credential.metadata.uid)
            credential = None
        if credential is None:
            if tx.find(core.User, name="root") is None:
                _create(tx, builtin.users()[0])
            credential = _create(tx, _first_credential())
        made = authentication.generate_token(tx, credential)
    return made.authentication_token.authentication_token


async def save_first_token(resources: Resources, authentication: Authentication, path: Path) -> str:
    """The same, also in a new file that only its owner can read.

    Raises:
        BootstrapError: something is there already, or no such file can be made. No token is made.
        OSError: the file cannot be written.
    """
    try:
        with private_file.new(path) as file:
            token = await first_token(resources, authentication)
            file.write(token.encode() + b"\n")
    except PrivateFileError as error:
        raise BootstrapError(f"OCTELIUM_AUTH_TOKEN_SAVE_PATH: {error}") from error
    return token
