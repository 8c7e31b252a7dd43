"""Which passkeys sign their User in without anything else.

All of them, where the ClusterConfig has `enablePasskeyLogin`. Elsewhere those of people who were
invited, for they have no other way in: the one that an invitation has made, and what its User
registers besides. So who invites somebody has nothing to configure, and a ClusterConfig that is
applied later without that field locks nobody out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.store.reading import Reader

LABEL: Final = "octelium-passkey-login"
"""System label of Authenticators that sign their User in alone, whatever is configured."""
_YES: Final = "true"


def is_enabled(config: core.ClusterConfig) -> bool:
    """Whether every passkey does."""
    return config.spec.authenticator.enable_passkey_login


def is_offered(store: Reader, config: core.ClusterConfig) -> bool:
    """Whether there may be anybody who signs in in this way."""
    by = (f"systemLabels.{LABEL}", _YES)
    return is_enabled(config) or store.exists(core.Authenticator, by=by)


def is_allowed(authenticator: core.Authenticator, config: core.ClusterConfig) -> bool:
    """Whether a passkey does."""
    return is_enabled(config) or LABEL in authenticator.metadata.system_labels


def allow(authenticator: core.Authenticator) -> None:
    """Have a passkey do so."""
    authenticator.metadata.system_labels[LABEL] = _YES


def follow(store: Reader, authenticator: core.Authenticator) -> None:
    """Allow another passkey of a User who has one that is allowed.

    Else the loss of the first one would lock a person out who has taken precautions.
    """
    if is_followed(store, authenticator.status.user_ref.uid):
        allow(authenticator)


def is_labelled(authenticator: core.Authenticator) -> bool:
    """Whether a passkey signs in whatever is configured."""
    return LABEL in authenticator.metadata.system_labels


def is_followed(store: Reader, user_uid: str) -> bool:
    """Whether `follow` allows the next passkey of a User."""
    own = store.peek_all(core.Authenticator, by={"status.userRef": user_uid})
    return any(is_labelled(one) for one in own)
