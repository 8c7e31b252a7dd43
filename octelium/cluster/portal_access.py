"""What the Portal shows as open to a person: the verdicts of the decision point.

For one User and some hundred Services that takes a tenth of a second, in a thread of its own; for
very many it is an errand like the questions of administrators.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.apiserver.rpc import ApiError
from octelium.authserver.openable import Openness
from octelium.cluster.lane import Deadline, Lane
from octelium.octovigil.access.entrances import entrances
from octelium.octovigil.access.listing import list_for_session
from octelium.octovigil.inquiry import InquiryError
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octelium.cluster.insight import Insight
    from octelium.replica.replica import Replica
    from octelium.schema.pb import core_v1_pb2 as core

_LOG = logging.getLogger(__name__)
_FRESH: Final = 30.0
"""Seconds that an answer is used for while nothing has changed: conditions may ask for the time."""
_REMEMBERED: Final = 256
_MANY: Final = 1000
"""Services from which on the work is an errand."""
_VERDICTS: Final = {
    ext.AccessVerdict__.ALLOWED: Openness.OPEN,
    ext.AccessVerdict__.DEPENDS: Openness.DEPENDS,
}


class _Answer(NamedTuple):
    revision: int
    until: float
    services: Mapping[str, Openness]
    entrances: Mapping[str, str]


class PortalAccess:
    """See `octelium.authserver.openable.Openable`."""

    def __init__(
        self,
        revision: Callable[[], int],
        replica: Replica,
        insight: Insight,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`revision` is that of the store, of which `replica` is a copy."""
        self._revision = revision
        self._replica = replica
        self._insight = insight
        self._clock = clock
        self._lane = Lane("portal", waiting=64, seconds=5.0)
        self._answers: OrderedDict[str, _Answer] = OrderedDict()

    def close(self) -> None:
        """Take no more questions."""
        self._lane.close()

    async def services(
        self, user: core.User, session: core.Session
    ) -> Mapping[str, Openness] | None:
        """See the Protocol."""
        uid, now, revision = session.metadata.uid, self._clock(), self._revision()
        known = self._answers.get(uid)
        if known is not None and known.revision == revision and known.until > now:
            return known.services
        try:
            items, entrances = await self._ask(user.metadata.name, uid)
        except (Invalid, InquiryError, StoreError, ApiError) as error:
            _LOG.warning("what User %s may open cannot be told: %s", user.metadata.name, error)
            return None
        except Exception:  # noqa: BLE001  (logged; the Portal is of use without it)
            _LOG.exception("what User %s may open cannot be told", user.metadata.name)
            return None
        answer = _Answer(revision, now + _FRESH, _opened(items, session.metadata.name), entrances)
        self._answers[uid] = answer
        self._answers.move_to_end(uid)
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return answer.services

    def entrances(self, session: core.Session) -> Mapping[str, str]:
        """See the Protocol."""
        known = self._answers.get(session.metadata.uid)
        return {} if known is None else known.entrances

    async def _ask(self, user: str, asker: str) -> tuple[Iterable[ext.Access], Mapping[str, str]]:
        if len(self._replica.service_by_name) > _MANY:
            told = await self._insight.list_access(user, "", asker=f"portal:{asker}")
            return told.items, {}
        replica = self._replica.fork()

        def work(deadline: Deadline) -> tuple[list[ext.Access], dict[str, str]]:
            items = list_for_session(replica, asker)
            in_time = deadline.left / 2
            found = entrances(replica, asker, items, time.time(), lambda: deadline.left > in_time)
            return items, found

        return await self._lane.run(work, asker)


def _opened(items: Iterable[ext.Access], session: str) -> dict[str, Openness]:
    """By Service; what is said of the Session's own policies goes before the rest."""
    verdicts: dict[str, ext.AccessVerdict__.AccessVerdict.ValueType] = {}
    for item in items:
        if item.session in ("", session):
            verdicts[item.service] = item.verdict  # that of a new Session comes first
    return {
        service: _VERDICTS[verdict] for service, verdict in verdicts.items() if verdict in _VERDICTS
    }
