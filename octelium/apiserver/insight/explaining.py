"""ext.v1 `Explain`: why a request is decided as it is, as far as the caller may know.

An entry of the access log is explained to whoever may list the log, with everything left out that
the caller could not get by an official method; and to the Session whose request was refused. A
request that is only supposed is a question that can be asked again and again with other values, so
its outcome alone would tell what the resources hold: it takes the right to get all kinds that
decisions are made of. Fields of a Session or Device that attach Policies, which may hold
expressions of the caller's, take the right to update that kind as well. To suppose that a logged
request came at another time, the past or to come, takes the rights of a supposed request.

What of a logged request only its sender may see is not known to explanations for others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.insight.questions import LoggedQuestion, carries_policies, read_question
from octelium.apiserver.insight.redaction import View, redacted
from octelium.apiserver.insight.rights import LIST_ACCESS_LOG, SHOWN, Rights, core_method
from octelium.apiserver.rpc import ApiError, status_of
from octelium.policy.narration import text
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.apiserver.insight.engine import Engine, Question
    from octelium.apiserver.rpc import Authorize, Call
    from octelium.schema.pb import ext_v1_pb2 as ext
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.resources import Resources
    from octelium.visibility.logged import LoggedRequest

_LOG = logging.getLogger(__name__)

_WAITS: Final = (0.0, 0.15, 0.3, 0.5)
"""Seconds between looks into the log: workers hand their records on a few times a second."""

_SAME: Final = 1.0
"""Seconds by which a time may differ from that of a request and still mean it."""
_PRESENT: Final = 60.0
"""Seconds by which a client's clock may differ and its time still mean the present."""


def _any(_logged: LoggedRequest) -> bool:
    return True


class LogFinder(Protocol):
    """Looks single requests up in the access log."""

    def find(self, entry: str) -> LoggedRequest | None:
        """The request behind one entry, if it is still kept.

        Raises:
            StoreError: `entry` is no id.
        """


class Explainer:
    """Answers questions about single decisions."""

    def __init__(
        self,
        resources: Resources,
        engine: Engine,
        log: LogFinder,
        authorize: Authorize,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._engine = engine
        self._log = log
        self._clock = clock
        self._authorize = authorize
        self._waiting: set[str] = set()

    async def explain(self, request: ext.ExplainRequest, call: Call) -> ext.Explanation:
        """Why a logged or a supposed request is decided as it is.

        Raises:
            ApiError: The caller may not ask this.
            Invalid: The question cannot be asked.
            NotFound: There is no such entry, or it is not the caller's to see.
        """
        call.require_session()
        question = read_question(request)
        rights = Rights(self._authorize, call)
        if isinstance(question, LoggedQuestion):
            return await self._logged(question, request.find_change, rights, call)
        return await self._supposed(question, request.find_change, rights, call)

    async def own(self, entry: str, call: Call) -> ext.Explanation | None:
        """Why a request of the caller's User is refused; None if there is no such entry.

        Raises:
            StoreError: `entry` is no id.
        """
        user = self._user_of(call.session_uid)

        def is_own(logged: LoggedRequest) -> bool:
            return bool(user) and not logged.allowed and logged.reference("user").get("uid") == user

        logged = await self._find(entry, call.session_uid, is_own)
        if logged is None:
            return None
        return await self._told(logged, None, False, Rights(self._authorize, call), call, own=True)

    async def in_words(self, entry: str, call: Call) -> str:
        """Why a logged request would be decided as it would, for people; or why nobody can tell."""
        question = LoggedQuestion(entry, None)
        try:
            return text(await self._logged(question, False, Rights(self._authorize, call), call))
        except (Invalid, StoreError, ApiError) as error:
            return f"It cannot be explained: {status_of(error)[1]}.\n"
        except Exception:  # noqa: BLE001 - the entry itself can be read all the same
            _LOG.exception("entry %s of the access log cannot be explained", entry)
            return "It cannot be explained: the log of the Cluster's control process says why.\n"

    async def _supposed(
        self, question: Question, find_change: bool, rights: Rights, call: Call
    ) -> ext.Explanation:
        needed = [core_method("Get", kind) for kind in SHOWN]
        for kind, fields in (
            ("Session", question.session_fields),
            ("Device", question.device_fields),
        ):
            if carries_policies(fields):
                needed.append(core_method("Update", kind))
        await rights.require(needed)
        explanation = await self._engine.explain(
            question, find_change=find_change, asker=call.session_uid
        )
        return redacted(explanation, View(await rights.readable(), self._belongs_to_cluster))

    async def _logged(
        self, question: LoggedQuestion, find_change: bool, rights: Rights, call: Call
    ) -> ext.Explanation:
        asker = call.session_uid

        def is_own(logged: LoggedRequest) -> bool:
            return not logged.allowed and logged.reference("session").get("uid") == asker

        if await rights.may(LIST_ACCESS_LOG):
            logged = await self._find(question.id, asker, _any)
            if logged is None:
                raise NotFound(f"the access log has no entry {question.id}, or none any more")
            own = is_own(logged)
        else:
            logged = await self._find(question.id, asker, is_own)
            own = True
            if logged is None:
                # Whoever may not list the log learns not even which entries there are.
                await rights.require((LIST_ACCESS_LOG,))
                raise AssertionError("a right that was refused is refused")
        return await self._told(logged, question.at, find_change, rights, call, own=own)

    async def _told(
        self,
        logged: LoggedRequest,
        at: float | None,
        find_change: bool,
        rights: Rights,
        call: Call,
        *,
        own: bool,
    ) -> ext.Explanation:
        kinds = await rights.readable()
        explanation = await self._engine.explain_logged(
            logged,
            at=await self._moment(at, logged, rights),
            private=not own,
            # A change is only looked for if it may be shown.
            find_change=find_change and kinds >= frozenset(SHOWN),
            asker=call.session_uid,
        )
        view = View(
            kinds,
            self._belongs_to_cluster,
            told_reason=str(logged.subject["reason"].get("type", "TYPE_UNKNOWN_REASON")),
            own=own,
        )
        shown = redacted(explanation, view)
        missing = [core_method("Get", kind) for kind in SHOWN if kind not in kinds]
        shown.notes.extend(self._history(logged, shown))
        if shown.hidden and missing and not own:
            names = ", ".join(method.rpartition("/")[2] for method in missing)
            shown.notes.append(f"Seeing all of it takes {names}.")
        return shown

    async def _moment(
        self, at: float | None, logged: LoggedRequest, rights: Rights
    ) -> float | None:
        """The time to suppose; None is that of the request.

        Trying one time after the other tells from when to when Policies let something pass.
        Besides the time of the request and the present, which can be tried without asking, it takes
        what a supposed request takes.

        Raises:
            ApiError: The caller has no right to suppose that.
        """
        if at is None or abs(at - logged.at) < _SAME:
            return None
        now = self._clock()
        if abs(at - now) <= _PRESENT:
            return now
        await rights.require([core_method("Get", kind) for kind in SHOWN])
        return at

    def _history(self, logged: LoggedRequest, shown: ext.Explanation) -> Iterator[str]:
        """How it was decided then, and what of that which is shown has changed since."""
        reason = str(logged.subject["reason"].get("type", ""))
        verdict = "allowed" if logged.allowed else "refused"
        told = f", {reason}" if reason else ""
        if not (logged.allowed or reason or shown.hidden) and logged.error:
            told = f": {logged.error}"  # Policies were not asked
        yield f"When it was made, the request was {verdict}{told}."
        changed: dict[str, None] = {}
        for part in ("service", "user", "device"):
            version = logged.reference(part).get("resourceVersion", "")
            ref: meta.ObjectReference = getattr(shown, part)
            if ref.kind and version and version != ref.resource_version:
                changed[f"{ref.kind} {ref.name}"] = None
        for policy in shown.policies:
            for ref in (policy.policy, policy.owner):
                if ref.kind != "Session" and self._updated_after(ref, logged.at):
                    changed[f"{ref.kind} {ref.name}"] = None
        if changed:
            yield f"Changed since then: {', '.join(changed)}."

    def _updated_after(self, ref: meta.ObjectReference, moment: float) -> bool:
        message = self._resources.peek(ref.kind, uid=ref.uid) if ref.uid else None
        if message is None:
            return False
        metadata = message.metadata
        changed = metadata.updated_at if metadata.HasField("updated_at") else metadata.created_at
        return bool(changed.ToNanoseconds() / 1e9 > moment)

    async def _find(
        self, entry: str, asker: str, wanted: Callable[[LoggedRequest], bool]
    ) -> LoggedRequest | None:
        """An entry that is wanted; one that is not takes as long as one that does not exist.

        Waiting calls take up room in the server, so each asker has one that waits.
        """
        waits = _WAITS[:1] if asker in self._waiting else _WAITS
        self._waiting.add(asker)
        try:
            for seconds in waits:
                await asyncio.sleep(seconds)
                logged = await asyncio.to_thread(self._log.find, entry)
                if logged is not None and wanted(logged):
                    return logged
            return None
        finally:
            if waits is _WAITS:
                self._waiting.discard(asker)

    def _user_of(self, session_uid: str) -> str:
        session = self._resources.peek(core.Session, uid=session_uid) if session_uid else None
        return "" if session is None else session.status.user_ref.uid

    def _belongs_to_cluster(self, ref: meta.ObjectReference) -> bool:
        rules = all_rules().get(ref.kind)
        if rules is None or not ref.uid:
            return False
        message = self._resources.peek(ref.kind, uid=ref.uid)
        return rules.hidden and message is not None and message.metadata.is_system_hidden
