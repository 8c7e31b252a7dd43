"""Thinks about decisions for the API, on copies of its replica and beside its event loop.

A copy shares its entries with the live replica, so that it costs little to make; whoever thinks in
it sees one revision, and disturbs nobody. A single explanation takes milliseconds in a thread;
questions about all of the Cluster are errands for processes of their own. They wait in two
different queues.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from octelium.cluster.errand import Errand, UnanswerableError, run
from octelium.cluster.lane import Lane
from octelium.cluster.logged import inquiry_of
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.octovigil.received import as_received
from octelium.replica.supposed import supposed_changes
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from octelium.apiserver.insight.engine import Hypothesis, Question
    from octelium.cluster.lane import Deadline
    from octelium.octovigil.rego.evaluator import Evaluator
    from octelium.replica.replica import Replica
    from octelium.schema.pb import feed_v1_pb2 as feed
    from octelium.store.transaction import Transaction
    from octelium.visibility.logged import LoggedRequest


@dataclass(frozen=True, slots=True)
class _Fork:
    """A Cluster as it is, and what a transaction would change."""

    before: Replica
    changes: Sequence[feed.Change]


class Insight:
    """See `Engine` and `AccessEngine` in `octelium.apiserver.insight.engine`."""

    def __init__(self, replica: Replica, logs: Path, rego: Evaluator | None = None) -> None:
        """`replica` is that of this process's decision point, `logs` the file of the access log.

        `rego` evaluates Rego modules that take long.
        """
        self._replica = replica
        self._logs = logs
        self._rego = rego
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
        try:
            inquiry = as_received(self._replica, inquiry)
        except InquiryError as error:
            raise Invalid("", str(error)) from error
        return await self._explain(inquiry, find_change, asker)

    async def explain_logged(
        self,
        logged: LoggedRequest,
        *,
        at: float | None,
        private: bool,
        find_change: bool,
        asker: str,
    ) -> ext.Explanation:
        """See `Engine`."""
        try:
            inquiry, notes = inquiry_of(self._replica, logged, at, private=private)
        except InquiryError as error:
            raise Invalid("", str(error)) from error
        explanation = await self._explain(inquiry, find_change, asker)
        explanation.notes.extend(notes)
        return explanation

    async def _explain(self, inquiry: Inquiry, find_change: bool, asker: str) -> ext.Explanation:
        replica = self._replica.fork()
        resolver = None
        if self._rego is not None:
            resolver = self._rego.resolver(asyncio.get_running_loop(), asker)

        def work(_deadline: Deadline) -> ext.Explanation:
            # Here, since a start is not to wait for what only explanations need.
            from octelium.octovigil.explain.explanation import explain

            return explain(replica, inquiry, find_change=find_change, rego=resolver)

        try:
            return await self._single.run(work, asker)
        except InquiryError as error:
            raise Invalid("", str(error)) from error

    async def list_access(self, user: str, service: str, *, asker: str) -> ext.ListAccessResponse:
        """See `AccessEngine`."""
        errand = Errand(os.getpid(), user=user, service=service)
        answer = await self._send_out(errand, self._replica.fork(), asker)
        return ext.ListAccessResponse.FromString(answer)

    def suppose(self, tx: Transaction) -> Hypothesis:
        """See `AccessEngine`."""
        return _Fork(self._replica.fork(), supposed_changes(tx))

    async def preview_access(
        self, hypothesis: Hypothesis, *, logged_requests: int, asker: str
    ) -> ext.PreviewAccessResponse:
        """See `AccessEngine`."""
        assert isinstance(hypothesis, _Fork)
        errand = Errand(
            os.getpid(),
            logs=str(self._logs),
            count=logged_requests,
            changes=tuple(change.SerializeToString() for change in hypothesis.changes),
        )
        answer = await self._send_out(errand, hypothesis.before, asker)
        return ext.PreviewAccessResponse.FromString(answer)

    async def _send_out(self, errand: Errand, replica: Replica, asker: str) -> bytes:
        try:
            return await self._whole.run(partial(run, errand, replica), asker)
        except UnanswerableError as error:
            raise Invalid("", str(error)) from error
