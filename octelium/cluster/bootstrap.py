"""The first start: the objects that every Cluster begins with, and the first way in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.view import TransactionView
from octelium.cluster import builtin
from octelium.cluster.certificates import Pair, check_pair, make_cluster_certificate
from octelium.identity.keys import rotate
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.identity.authentication import Authentication
    from octelium.store.resources import Resources, Transaction

FIRST_CREDENTIAL = "root-init"
_FIRST_CREDENTIAL_DAYS = 180


class BootstrapError(Exception):
    """The store belongs to another Cluster, or is not a Cluster's; the text says which."""


async def bootstrap(resources: Resources, domain: str, ca_file: Path) -> bool:
    """Make what a Cluster begins with, in one transaction; whether there was anything to make.

    The certificate of the new CA is written to `ca_file`.

    Raises:
        BootstrapError: the store belongs to a Cluster of another domain.
    """
    config = resources.peek(core.ClusterConfig, name="default")
    if config is not None:
        if config.status.domain != domain:
            raise BootstrapError(
                f"--domain: this data directory belongs to {config.status.domain}, not to {domain};"
                " use that domain or another --data-dir"
            )
        return False
    if resources.revision:
        raise BootstrapError(
            "the store holds resources but no ClusterConfig; it is not a Cluster's"
        )
    ca, pair = make_cluster_certificate(domain)
    async with resources.transaction() as tx:
        for message in (
            builtin.cluster_config(domain),
            builtin.region(),
            *builtin.users(),
            *builtin.namespaces(),
            *builtin.policies(),
            *builtin.services(),
        ):
            _create(tx, message)
        rotate(tx, time.time())
        _put_certificate(tx, "default", pair)
        _create(tx, first_credential())
        # Before the commit, so that a start that fails here begins anew next time.
        ca_file.write_text(ca)  # noqa: ASYNC240  (before anything is served)
    return True


def _create(tx: Transaction, message: Any) -> None:
    complete(message, TransactionView(tx))
    tx.create(message)


def first_credential() -> core.Credential:
    """`root-init`: whoever signs in with it may do everything, by an explicit policy."""
    credential = core.Credential(api_version="core/v1", kind="Credential")
    credential.metadata.name = FIRST_CREDENTIAL
    spec = credential.spec
    spec.type = core.CredentialSpecType__.AUTH_TOKEN
    spec.user = "root"
    spec.session_type = core.SessionStatusType__.CLIENT
    spec.expires_at.FromSeconds(int(time.time()) + _FIRST_CREDENTIAL_DAYS * 86400)
    inline = spec.authorization.inline_policies.add(name="first-session-allow-all")
    rule = inline.spec.rules.add(effect=core.PolicySpecRuleEffect__.ALLOW)
    rule.condition.match_any = True
    return credential


def awaits_first_token(resources: Resources) -> bool:
    """Whether the first Credential never had a token, because the first start is under way."""
    credential = resources.peek(core.Credential, name=FIRST_CREDENTIAL)
    return credential is not None and not credential.status.token_id


async def first_token(resources: Resources, authentication: Authentication) -> str:
    """A token of the first Credential; every earlier one is void afterwards."""
    async with resources.transaction() as tx:
        credential = tx.get(core.Credential, name=FIRST_CREDENTIAL)
        made = authentication.generate_token(tx, credential)
    return made.authentication_token.authentication_token


def certificate_secret_name(namespace: str) -> str:
    """The Secret that holds the certificate of a Namespace's Services."""
    return f"crt-ns-{namespace}"


def _put_certificate(tx: Transaction, namespace: str, pair: Pair) -> None:
    name = certificate_secret_name(namespace)
    found = tx.find(core.Secret, name=name)
    secret = found if found is not None else core.Secret(api_version="core/v1", kind="Secret")
    secret.metadata.name = name
    secret.metadata.is_system = True
    secret.metadata.is_system_hidden = True
    secret.metadata.system_labels["octelium-cert"] = "true"
    secret.spec.data.value = pair.chain
    secret.data.value = pair.key
    secret.status.SetInParent()
    if found is None:
        tx.create(secret)
    else:
        tx.update(secret)


async def install_certificate(resources: Resources, namespace: str, pair: Pair) -> None:
    """Replace the certificate of a Namespace's Services; listeners take it at once.

    Raises:
        CertificateError: the pair cannot be used.
        NotFound: there is no such Namespace.
    """
    check_pair(pair)
    async with resources.transaction() as tx:
        tx.get(core.Namespace, name=namespace)
        _put_certificate(tx, namespace, pair)
