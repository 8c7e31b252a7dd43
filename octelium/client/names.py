"""Names that a shell completes while a person types: within a moment, or not at all.

Nobody is logged in for it and no token is renewed: whoever stopped waiting in the midst of that
would lose the Session.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Final

from octelium.client.errors import ClientError
from octelium.client.name_cache import NameCache
from octelium.client.storage import MemoryStorage
from octelium.schema.errors import Invalid
from octelium.schema.names import is_stored_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octelium.client.api import Api
    from octelium.client.client import Client

    Ask = Callable[[Api, float], list[str]]
    """Asks for names, with a deadline in seconds."""

SECONDS: Final = 0.3
"""How long a person waits, from the first thing that is looked up."""
GOING_ON: Final = 10.0
"""Seconds for those who remember names for the next time."""
_MOST: Final = 500
_LEAST: Final = 0.02


class Names:
    """The names that one Cluster tells. `clock` gives Unix seconds.

    `make_client` makes a client that is used, and closed, by a thread of its own. `go_on` is called
    where the time was too short for an answer, once in some seconds: it may have the same names
    asked for by somebody who waits longer, and remembers them for the next time.
    """

    def __init__(
        self,
        make_client: Callable[[], Client],
        clock: Callable[[], float],
        *,
        seconds: float | None = None,
        go_on: Callable[[], None] | None = None,
    ) -> None:
        self._make_client = make_client
        self._clock = clock
        self._seconds = SECONDS if seconds is None else seconds
        self._go_on = go_on

    def of_kind(self, word: str) -> list[str]:
        """The names of a kind's resources, as administrators see them."""
        return self._within_a_moment(word, lambda api, left: _of_kind(api, word, left))

    def services(self) -> list[str]:
        """`NAME:PORT` of the Services that the User may see; the names as `get` lists them."""
        return self._within_a_moment("user.Service", _services)

    def _within_a_moment(self, what: str, ask: Ask) -> list[str]:
        end = time.monotonic() + self._seconds
        found: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        threading.Thread(target=self._look_up, args=(what, ask, end, found), daemon=True).start()
        names: list[str] = []
        try:
            while (more := found.get(timeout=max(end - time.monotonic(), 0))) is not None:
                names = more
        except queue.Empty:
            pass  # what has been found until now is all that there is time for
        if time.monotonic() >= end and self._go_on is not None and self._may_go_on(what):
            self._go_on()
        return names

    def _may_go_on(self, what: str) -> bool:
        """Whether names can be remembered, and nobody has been asked to lately."""
        client = self._make_client()
        try:
            if isinstance(client.storage, MemoryStorage):
                return False
            cache, key, now = NameCache(client.storage), f"asked for {what}", self._clock()
            seen = cache.get(key, now)
            if seen is not None and now - seen.at < GOING_ON:
                return False
            cache.put(key, [], now)
        except ClientError:
            return False  # as for everything that goes wrong while a person is typing
        finally:
            client.close()
        return True

    def _look_up(
        self, what: str, ask: Ask, end: float, found: queue.SimpleQueue[list[str] | None]
    ) -> None:
        """Put what is remembered, then what the Cluster tells, then None."""
        try:
            client = self._make_client()
            try:
                self._find(client, what, ask, end, found)
            finally:
                client.close()
        except (ClientError, Invalid):
            pass  # there is nowhere to report to while a person is typing
        finally:
            found.put(None)

    def _find(
        self,
        client: Client,
        what: str,
        ask: Ask,
        end: float,
        found: queue.SimpleQueue[list[str] | None],
    ) -> None:
        token = client.token_at_hand()
        if token is None:
            return
        whose = hashlib.sha256(token.text.encode()).hexdigest()[:16]
        key = f"{client.domain} {what} {whose}"
        cache, now = NameCache(client.storage), self._clock()
        seen = cache.get(key, now)
        if seen is not None:
            found.put(seen.names)
            if seen.is_fresh:
                return
        if not token.is_valid:
            return
        from octelium.client.api import Api, FixedToken  # what is remembered needs none of it

        api = Api(client.channel, FixedToken(token.text), sleep=_give_up, domain=client.domain)
        # Who waits leaves first: an answer that failed for want of time has to be told from others.
        names = ask(api, max(end - time.monotonic(), 0) + _LEAST)
        found.put(names)
        cache.put(key, names, now)


def _of_kind(api: Api, word: str, deadline: float) -> list[str]:
    from octelium.client.resources import Page
    from octelium.schema.kinds import find_kind

    kind = find_kind(word)
    if kind.singleton:
        return []
    request = api.core.input(f"List{kind.name}")(common=Page(size=_MOST).options())
    listing = api.core.call(f"List{kind.name}", request, deadline=deadline)
    return _harmless(item.metadata.name for item in listing.items)


def _services(api: Api, deadline: float) -> list[str]:
    from octelium.client.resources import Page
    from octelium.schema.pb import user_v1_pb2 as user

    request = user.ListServiceOptions(common=Page(size=_MOST).options())
    listing = api.user.call("ListService", request, deadline=deadline)
    ports = {item.metadata.name: item.spec.port for item in listing.items}
    return [f"{name}:{ports[name]}" for name in _harmless(ports)]


def _harmless(names: Iterable[str]) -> list[str]:
    """The names of a form that the API gives: shells show them, and act on them, as they are."""
    return [name for name in names if is_stored_name(name)]


def _give_up(_seconds: float) -> None:
    raise ClientError("the Cluster does not answer, and there is no time to ask again")
