from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity import admission
from octelium.identity.authenticators.enforcement import AuthenticatorEnforcement
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.authenticators.people import ACTIONS

if TYPE_CHECKING:
    from tests.identity.authenticators.people import People


async def test_the_rules_see_what_the_session_can_use(people: People) -> None:
    enforcement = AuthenticatorEnforcement(people.rules)
    browser = await people.session()
    client = await people.session(client=True)
    provider = core.IdentityProvider()

    async def action(session: core.Session) -> int:
        return await people.cluster.write(
            lambda tx: enforcement.action(
                tx, admission.cluster_config(tx), people.cluster.alice, provider, session
            )
        )

    assert await action(browser.session) == ACTIONS.AUTHENTICATOR_ACTION_UNSET
    phone, _ = await people.add_totp(browser)
    key, _ = await people.add_fido(browser)
    people.rules.wanted = ACTIONS.AUTHENTICATION_REQUIRED
    assert await action(browser.session) == ACTIONS.AUTHENTICATION_REQUIRED
    assert await action(client.session) == ACTIONS.AUTHENTICATION_REQUIRED
    names = [phone.metadata.name, key.metadata.name]
    assert people.rules.usable == [[], names, names[:1]]
