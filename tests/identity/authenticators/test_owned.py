from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.authenticators.ceremonies import LIFETIME
from octelium.identity.authenticators.errors import InvalidRequestError, NotOfferedError
from octelium.identity.authenticators.owned import MOST
from octelium.identity.errors import AuthenticationError, RefusedError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.identity.authenticators.people import ACTIONS, STATES, TYPES, asking, ref

if TYPE_CHECKING:
    from tests.identity.authenticators.people import People


def count(people: People) -> int:
    return people.cluster.resources.count(core.Authenticator)


async def test_life_of_one(people: People) -> None:
    session = await people.session()
    api = people.authenticators
    made = await api.create(asking(session), TYPES.TOTP, "My phone")
    assert made.metadata.name.startswith("totp-")
    assert made.spec.state == STATES.ACTIVE
    assert not made.status.is_registered
    assert made.metadata.actor_ref.uid == session.session.metadata.uid
    by_name = meta.ObjectReference(name=made.metadata.name)
    assert await api.get(asking(session), by_name) == made
    renamed = await api.rename(asking(session), ref(made), "Other")
    assert renamed.spec.display_name == "Other"
    page = await api.list(asking(session), meta.CommonListOptions())
    assert list(page.items) == [renamed]
    await api.delete(asking(session), ref(made))
    assert count(people) == 0
    with pytest.raises(RefusedError, match="no such"):
        await api.get(asking(session), ref(made))


async def test_others_authenticators_do_not_exist(people: People) -> None:
    alice, bob = await people.session(), await people.session(people.bob)
    api = people.authenticators
    made = await api.create(asking(alice), TYPES.TOTP, "mine")
    for operation in (
        api.get(asking(bob), ref(made)),
        api.rename(asking(bob), ref(made), "stolen"),
        api.delete(asking(bob), ref(made)),
        api.register_begin(asking(bob), ref(made)),
        api.authenticate_begin(asking(bob), ref(made)),
    ):
        with pytest.raises(RefusedError) as caught:
            await operation
        assert caught.value.answer == "you have no such Authenticator"
    with pytest.raises(InvalidRequestError):
        await api.get(asking(bob), meta.ObjectReference())
    assert people.get(made) == made
    assert not (await api.list(asking(bob), meta.CommonListOptions())).items


@pytest.mark.parametrize(
    ("who", "kind", "error"),
    [
        ("browser", TYPES.FIDO, None),
        ("browser", TYPES.TOTP, None),
        ("browser", TYPES.TPM, RefusedError),
        ("browser", TYPES.TYPE_UNKNOWN, InvalidRequestError),
        ("browser", 17, InvalidRequestError),
        ("client", TYPES.FIDO, RefusedError),
        ("client", TYPES.TOTP, None),
        ("client", TYPES.TPM, NotOfferedError),
        ("robot", TYPES.FIDO, RefusedError),
        ("robot", TYPES.TOTP, RefusedError),
    ],
)
async def test_types(
    people: People, who: str, kind: int, error: type[AuthenticationError] | None
) -> None:
    user = people.cluster.robot if who == "robot" else people.cluster.alice
    session = await people.session(user, client=who == "client")
    if error is None:
        assert await people.authenticators.create(asking(session), kind, "")
    else:
        with pytest.raises(error):
            await people.authenticators.create(asking(session), kind, "")
    assert count(people) == (error is None)


@pytest.mark.parametrize("name", ["x" * 121, "é", "a\nb", "\0"])
async def test_display_names(people: People, name: str) -> None:
    session = await people.session()
    with pytest.raises(InvalidRequestError):
        await people.authenticators.create(asking(session), TYPES.TOTP, name)
    made = await people.authenticators.create(asking(session), TYPES.TOTP, "x" * 120)
    with pytest.raises(InvalidRequestError):
        await people.authenticators.rename(asking(session), ref(made), name)
    assert people.get(made) == made


async def test_thirty_two_each(people: People) -> None:
    alice, bob = await people.session(), await people.session(people.bob)
    for _ in range(MOST):
        await people.authenticators.create(asking(alice), TYPES.TOTP, "")
    with pytest.raises(RefusedError, match="32"):
        await people.authenticators.create(asking(alice), TYPES.TOTP, "")
    assert await people.authenticators.create(asking(bob), TYPES.TOTP, "")


async def test_nothing_before_the_second_factor(people: People) -> None:
    before = await people.session()
    made, _ = await people.add_totp(before)
    fresh = await people.authenticators.create(asking(before), TYPES.TOTP, "")
    session = await people.session(authenticator_action=ACTIONS.AUTHENTICATION_REQUIRED)
    api, revision = people.authenticators, people.cluster.resources.revision
    for operation in (
        api.create(asking(session), TYPES.TOTP, ""),
        api.rename(asking(session), ref(made), "x"),
        api.delete(asking(session), ref(made)),
        api.register_begin(asking(session), ref(fresh)),
    ):
        with pytest.raises(RefusedError, match="first"):
            await operation
    assert people.cluster.resources.revision == revision


@pytest.mark.parametrize(
    ("own", "cluster", "expected"), [(0, 0, 1), (0, 2, 2), (1, 2, 1), (2, 1, 2), (2, 0, 2)]
)
async def test_initial_states(people: People, own: Any, cluster: Any, expected: int) -> None:
    people.bob.spec.authentication.authenticator_default_state = own
    await people.cluster.change(people.bob)
    await people.configure(default_state=cluster)
    session = await people.session(people.bob)
    made = await people.authenticators.create(asking(session), TYPES.TOTP, "")
    assert made.spec.state == expected


async def test_registrations_that_were_given_up_are_not_listed(people: People) -> None:
    session = await people.session()
    api = people.authenticators
    kept, _ = await people.add_totp(session)
    begun = await api.create(asking(session), TYPES.FIDO, "")

    async def listed() -> list[str]:
        page = await api.list(asking(session), meta.CommonListOptions())
        return [one.metadata.name for one in page.items]

    assert await listed() == [kept.metadata.name, begun.metadata.name]
    people.cluster.clock.now = begun.metadata.created_at.seconds + LIFETIME
    assert await listed() == [kept.metadata.name]
