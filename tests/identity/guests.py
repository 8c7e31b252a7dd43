"""People who are invited, and what they do then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.identity.invitation_logins import InvitationLogins, Inviter
from octelium.schema.pb import invitation_v1_pb2 as stored
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.identity.authenticators.people import BROWSER, PARTY, asking
from tests.identity.authenticators.soft_key import SoftKey

if TYPE_CHECKING:
    from octelium.identity.admission import IssuedTokens
    from tests.identity.authenticators.people import People
    from tests.identity.cluster import Cluster

ORIGIN = "https://example.com"
OWNER = Inviter("octops/invite")


class Guests:
    """The invitations of a Cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.logins = InvitationLogins(
            cluster.resources, cluster.keyring, cluster.authentication, ORIGIN, clock=cluster.clock
        )

    async def invite(self, user: str = "alice", inviter: Inviter = OWNER) -> str:
        """The token of a new link."""
        url = (await self.logins.invite(user, inviter)).url
        start, mark, token = url.partition("#")
        assert start + mark == f"{ORIGIN}/invite#"
        return token

    async def claim(self, token: str, refresh_token: str | None = None) -> IssuedTokens:
        return await self.logins.claim(
            token, refresh_token=refresh_token, downstream=BROWSER, operation="invite"
        )

    async def look(self, token: str) -> str:
        user = await self.logins.look(token, downstream=BROWSER, operation="invite")
        return user.metadata.name

    def stored(self) -> list[stored.Invitation]:
        return self.cluster.resources.list(stored.Invitation)


def new_key() -> SoftKey:
    return SoftKey(PARTY.origin, PARTY.domain)


async def make_passkey(
    people: People, session: IssuedTokens, key: SoftKey, name: str = "", **client_data: Any
) -> IssuedTokens | None:
    """What the browser of somebody who was invited does."""
    challenge = await people.authenticators.invited_begin(asking(session), name)
    ref = meta.ObjectReference(uid=challenge.authenticator.metadata.uid)
    return await people.authenticators.invited_finish(
        asking(session), ref, key.create(challenge.text, **client_data), downstream=BROWSER
    )
