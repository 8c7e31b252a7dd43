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

    async def own(self, entry: str, call: Call) -> ext.Explanation | None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure
        if entry != "known":
            return None
        return ext.Explanation(summary="Refused: no policy allows it.", outcome="DENIED")


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
    assert told[0] == Line(0, "Refused: no policy allows it.", Tone.BAD)
    (call,) = explainer.calls
    assert (call.path, call.client_address) == (EXPLAIN, "192.0.2.7")
    assert call.session_uid == issued.session.metadata.uid
    assert call.session_ref is not None
    assert call.session_ref.name == issued.session.metadata.name
    assert await reasons.why(issued.access_token, "another", "") is None


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
