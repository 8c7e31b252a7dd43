"""The IdentityProviders by which people can sign in at present.

https://octelium.com/docs/octelium/latest/management/core/identity-provider/overview
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from octelium.identity.lookup import is_provider_barred, is_web
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.store.resources import Resources


_INVITING: Final = re.compile(r"(?:log-?\s?in|sign-?\s?in|continue)\b", re.IGNORECASE)
"""How a display name begins that is written for the button, such as `Login with Example`."""


def offered(resources: Resources) -> list[core.IdentityProvider]:
    """All of them, by the name that people read."""
    found = [each for each in resources.peek_all(core.IdentityProvider) if _is_offered(each)]
    return sorted(found, key=lambda each: (label(each).casefold(), each.metadata.name))


def offer(resources: Resources, uid: str) -> core.IdentityProvider | None:
    """The one of this uid, if people can sign in by it at present."""
    found = resources.peek(core.IdentityProvider, uid=uid) if uid else None
    return found if found is not None and _is_offered(found) else None


def label(provider: core.IdentityProvider) -> str:
    """What people call it; what invites them to press a button is no name."""
    metadata = provider.metadata
    for name in (provider.spec.display_name, metadata.display_name):
        if name and _INVITING.match(name) is None:
            return name
    return metadata.name


def invitation(provider: core.IdentityProvider) -> str:
    """What the button says that leads there."""
    metadata = provider.metadata
    shown = provider.spec.display_name or metadata.display_name
    if _INVITING.match(shown):
        return shown
    return f"Continue with {shown or metadata.name}"


def _is_offered(provider: core.IdentityProvider) -> bool:
    return is_web(provider) and not is_provider_barred(provider)
