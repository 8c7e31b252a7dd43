from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from octelium.apiserver.insight.rights import EXPLAIN
from octelium.cluster.reasons import Reasons
from octelium.policy.narration import Line, Tone
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import Unavailable
from tests.identity.cluster import CLI, Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.apiserver.rpc import Call


class Explainer:
    """Explains one entry to whoever asks."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.failure: Exception | None = None
        self.told = ext.Explanation(summary="Refused: no policy allows it.", outcome="DENIED")

    async def own(self, entry: str, call: Call) -> ext.Explanation | None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure
        if entry != "known":
            return None
        return self.told


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as made:
        yield made


async def sign_in(cluster: Cluster) -> Any:
    credential = await cluster.add_credential(cluster.alice)
    return await cluster.authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="sign-in"
    )


async def test_the_reader_asks_as_its_session(cluster: Cluster) -> None:
    issued = await sign_in(cluster)
    explainer = Explainer()
    reasons = Reasons(cluster.authentication, cast(Any, explainer))
    told = await reasons.why(issued.access_token, "known", "192.0.2.7")
    assert told is not None
    assert told[0] == Line(0, "Refused: no policy allows it.")
    assert told[1] == Line(0, "Refused: no policy allows it.", Tone.BAD)
    (call,) = explainer.calls
    assert (call.path, call.client_address) == (EXPLAIN, "192.0.2.7")
    assert call.session_uid == issued.session.metadata.uid
    assert call.session_ref is not None
    assert call.session_ref.name == issued.session.metadata.name
    assert await reasons.why(issued.access_token, "another", "") is None


@pytest.mark.parametrize(
    ("outcome", "reason", "said"),
    [
        ("DENIED", "NO_POLICY_MATCH", "No rule lets you open wiki. Ask an administrator, "),
        ("DENIED", "POLICY_MATCH", "A rule keeps you from opening wiki. Ask an administrator, "),
        ("DENIED", "SESSION_LOCKED", "The sentence."),
        ("ALLOWED", "POLICY_MATCH", "The sentence."),
    ],
)
async def test_a_sentence_comes_first(
    cluster: Cluster, outcome: str, reason: str, said: str
) -> None:
    explainer = Explainer()
    explainer.told = ext.Explanation(summary="The sentence.", outcome=outcome, reason=reason)
    explainer.told.service.name = "wiki.default"
    reasons = Reasons(cluster.authentication, cast(Any, explainer))
    told = await reasons.why((await sign_in(cluster)).access_token, "known", "")
    assert told is not None
    assert told[0].text.startswith(said)


async def test_nobody_else_is_told(cluster: Cluster) -> None:
    issued = await sign_in(cluster)
    explainer = Explainer()
    reasons = Reasons(cluster.authentication, cast(Any, explainer))
    access = issued.access_token
    for token in ("", "x", access[:-1], access + "A", issued.refresh_token, "\udc80"):
        assert await reasons.why(token, "known", "") is None
    await cluster.delete(issued.session)
    assert await reasons.why(access, "known", "") is None
    assert explainer.calls == []


@pytest.mark.parametrize(
    "failure", [Invalid("", "the Service is gone"), Unavailable("too many questions")]
)
async def test_what_cannot_be_explained(cluster: Cluster, failure: Exception) -> None:
    issued = await sign_in(cluster)
    explainer = Explainer()
    explainer.failure = failure
    reasons = Reasons(cluster.authentication, cast(Any, explainer))
    told = await reasons.why(issued.access_token, "known", "")
    assert told is not None
    assert str(failure) in told[0].text
