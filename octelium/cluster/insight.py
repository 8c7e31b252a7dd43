"""Thinks about decisions for the API, on copies of its replica and beside its event loop.

A copy shares its entries with the live replica, so that it costs little to make; whoever thinks in
it in a thread sees one revision, and disturbs nobody. Single explanations and questions about all
of the Cluster wait in two different queues, so that a preview of seconds does not hold up the
explanation of one refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cluster.lane import Lane
from octelium.cluster.logged import inquiry_of
from octelium.octovigil.explain.explanation import explain
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.schema.errors import Invalid

if TYPE_CHECKING:
    from octelium.apiserver.insight.engine import Question
    from octelium.cluster.lane import Deadline
    from octelium.replica.replica import Replica
    from octelium.schema.pb import ext_v1_pb2 as ext
    from octelium.visibility.logged import LoggedRequest


class Insight:
    """See `octelium.apiserver.insight.engine.Engine`."""

    def __init__(self, replica: Replica) -> None:
        """`replica` is that of this process's decision point."""
        self._replica = replica
        self._single = Lane("explanations", waiting=64, seconds=20.0)
        self._whole = Lane("access", waiting=4, seconds=120.0)

    def close(self) -> None:
        """Take no more questions."""
        self._single.close()
        self._whole.close()

    async def explain(
        self, question: Question, *, find_change: bool, asker: str
    ) -> ext.Explanation:
        """See `Engine`."""
        inquiry = Inquiry(
            service=question.service,
            session=question.session,
            user=question.user,
            session_fields=question.session_fields,
            device_fields=question.device_fields,
            request=question.request,
            at=question.at,
            address=question.address,
        )
        return await self._explain(inquiry, find_change, asker)

    async def explain_logged(
        self, logged: LoggedRequest, *, at: float | None, find_change: bool, asker: str
    ) -> ext.Explanation:
        """See `Engine`."""
        try:
            inquiry, notes = inquiry_of(self._replica, logged, at)
        except InquiryError as error:
            raise Invalid("", str(error)) from error
        explanation = await self._explain(inquiry, find_change, asker)
        explanation.notes.extend(notes)
        return explanation

    async def _explain(self, inquiry: Inquiry, find_change: bool, asker: str) -> ext.Explanation:
        replica = self._replica.fork()

        def work(_deadline: Deadline) -> ext.Explanation:
            return explain(replica, inquiry, find_change=find_change)

        try:
            return await self._single.run(work, asker)
        except InquiryError as error:
            raise Invalid("", str(error)) from error
