"""The IdentityProviders by which people can sign in at present.

https://octelium.com/docs/octelium/latest/management/core/identity-provider/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity.lookup import is_provider_barred, is_web
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.store.resources import Resources


def offered(resources: Resources) -> list[core.IdentityProvider]:
    """All of them, by the name that people read."""
    found = [each for each in resources.peek_all(core.IdentityProvider) if _is_offered(each)]
    return sorted(found, key=lambda each: (label(each).casefold(), each.metadata.name))


def offer(resources: Resources, uid: str) -> core.IdentityProvider | None:
    """The one of this uid, if people can sign in by it at present."""
    found = resources.peek(core.IdentityProvider, uid=uid) if uid else None
    return found if found is not None and _is_offered(found) else None


def label(provider: core.IdentityProvider) -> str:
    """What people call it."""
    metadata = provider.metadata
    return provider.spec.display_name or metadata.display_name or metadata.name


def _is_offered(provider: core.IdentityProvider) -> bool:
    return is_web(provider) and not is_provider_barred(provider)
