from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.replica.follower import LocalFeed
from octelium.replica.replica import Replica
from octelium.replica.supposed import supposed_changes
from octelium.schema.pb import core_v1_pb2 as core
from tests.replica.samples import named, put, secret, service, session

if TYPE_CHECKING:
    from octelium.store.resources import Resources


async def test_a_supposed_replica_is_what_the_commit_would_make(resources: Resources) -> None:
    await put(
        resources,
        core.Policy(metadata=named("gone")),
        core.User(metadata=named("ann")),
        session("ann-1", authentications=2),
    )
    followed = Replica()
    LocalFeed(resources, followed).start()
    fork = followed.fork()
    async with resources.transaction() as tx:
        tx.delete("Policy", tx.get(core.Policy, name="gone").metadata.uid)
        user = tx.get(core.User, name="ann")
        user.spec.email = "ann@example.com"
        tx.update(user)
        tx.create(core.Policy(metadata=named("new")))
        tx.create(service("wiki.default", "token"))
        tx.create(secret("token"))
        renewed = tx.get(core.Session, name="ann-1")
        renewed.status.last_authentications.add(token_id="third")
        tx.update(renewed)
        changes = supposed_changes(tx)
    assert {change.kind for change in changes} == {
        *("Policy", "User", "Service", "Session", "Session.past"),
    }
    fork.revise(changes)
    for mine, theirs in (
        (fork.policies, followed.policies),
        (fork.users, followed.users),
        (fork.services, followed.services),
        (fork.sessions, followed.sessions),
    ):
        assert {uid: entry.json for uid, entry in mine.items()} == {
            uid: entry.json for uid, entry in theirs.items()
        }
    assert len(fork.sessions) == 1
    (entry,) = fork.sessions.values()
    assert len(entry.json["status"]["lastAuthentications"]) == 3


async def test_a_discarded_transaction_leaves_the_original_alone(resources: Resources) -> None:
    followed = Replica()
    LocalFeed(resources, followed).start()
    fork = followed.fork()
    async with resources.transaction() as tx:
        tx.create(core.Policy(metadata=named("new")))
        fork.revise(supposed_changes(tx))
        tx.discard()
    assert "new" in fork.policies_by_name
    assert "new" not in followed.policies_by_name
    assert resources.peek(core.Policy, name="new") is None
