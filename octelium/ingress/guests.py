"""The connections of the private network, by what they depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.http.h1.server import H1Server
    from octelium.http.h2.protocol import H2Server
    from octelium.ingress.places import Place as Seat
    from octelium.replica.addresses import Packed
    from octelium.replica.replica import ServiceEntry


class Abortable(Protocol):
    """A connection that somebody serves."""

    def abort(self) -> None:
        """Break it off."""


class Guest:
    """One connection, and what it depends on."""

    __slots__ = ("codec", "place", "running", "seat", "service", "session_uid", "source")

    def __init__(
        self, service: ServiceEntry, place: Packed, session_uid: str, source: Packed, seat: Seat
    ) -> None:
        self.service = service
        self.place = place
        self.session_uid = session_uid
        self.source = source
        self.seat = seat
        self.running: Abortable | None = None
        self.codec: H1Server | H2Server | None = None
        """What speaks with it, if that is HTTP."""

    def abort(self) -> None:
        """End the connection."""
        if self.running is not None:
            self.running.abort()


class Guests:
    """Everybody who is connected. `empty` is called when the last one has left."""

    def __init__(self, empty: Callable[[], None]) -> None:
        self._empty = empty
        self._by_session: dict[str, set[Guest]] = {}
        self._by_source: dict[Packed, set[Guest]] = {}
        self._by_service: dict[str, set[Guest]] = {}

    def __iter__(self) -> Iterator[Guest]:
        return iter([guest for guests in self._by_session.values() for guest in guests])

    def add(self, guest: Guest) -> None:
        """Somebody came."""
        for table, key in self._tables(guest):
            table.setdefault(key, set()).add(guest)

    def leaver(self, guest: Guest) -> Callable[[], None]:
        """What is to be called when a guest has left; it may be called twice."""

        def left() -> None:
            guest.seat.leave()
            for table, key in self._tables(guest):
                guests = table.get(key)
                if guests is not None:
                    guests.discard(guest)
                    if not guests:
                        del table[key]
            if not self._by_session:
                self._empty()

        return left

    def of_session(self, uid: str, addresses: Iterable[Packed]) -> set[Guest]:
        """Those of a Session, and those who came from an address that it has."""
        guests = set(self._by_session.get(uid, ()))
        for address in addresses:
            guests |= self._by_source.get(address, set())
        return guests

    def of_service(self, uid: str) -> tuple[Guest, ...]:
        """Those who came to a Service."""
        return tuple(self._by_service.get(uid, ()))

    def _tables(self, guest: Guest) -> list[tuple[dict[str | Packed, set[Guest]], str | Packed]]:
        return [
            (self._by_session, guest.session_uid),  # type: ignore[list-item]  # str keys
            (self._by_source, guest.source),  # type: ignore[list-item]  # bytes keys
            (self._by_service, guest.service.uid),  # type: ignore[list-item]  # str keys
        ]
