"""How many connections of the private network there may be: in all, of each User and Session."""

from __future__ import annotations

from collections import Counter


class Places:
    """Counts connections of a process.

    `most` is for all together, `most_each_user` for the Sessions of one User, `most_each` for one
    Session, and `most_undecided` for those of one of which nothing has been allowed yet.
    """

    def __init__(
        self, most: int, most_each: int, most_undecided: int, *, most_each_user: int
    ) -> None:
        self._most = most
        self._most_each = most_each
        self._most_each_user = most_each_user
        self._most_undecided = most_undecided
        self._each: Counter[str] = Counter()
        self._each_user: Counter[str] = Counter()
        self._undecided: Counter[str] = Counter()
        self.taken = 0

    def take(self, session_uid: str, user_uid: str) -> Place | None:
        """A place for a connection of a Session; None if there are too many."""
        if (
            self.taken >= self._most
            or self._each[session_uid] >= self._most_each
            or self._each_user[user_uid] >= self._most_each_user
            or self._undecided[session_uid] >= self._most_undecided
        ):
            return None
        self.taken += 1
        self._each[session_uid] += 1
        self._each_user[user_uid] += 1
        self._undecided[session_uid] += 1
        return Place(self, session_uid, user_uid)

    def allowed(self, session_uid: str) -> None:
        """A place counts as decided."""
        _less(self._undecided, session_uid)

    def left(self, session_uid: str, user_uid: str) -> None:
        """A place is free again."""
        self.taken -= 1
        _less(self._each, session_uid)
        _less(self._each_user, user_uid)


class Place:
    """One connection's."""

    __slots__ = ("_left", "_places", "_session_uid", "_undecided", "_user_uid")

    def __init__(self, places: Places, session_uid: str, user_uid: str) -> None:
        self._places = places
        self._session_uid = session_uid
        self._user_uid = user_uid
        self._undecided = True
        self._left = False

    def allowed(self) -> None:
        """Something was allowed on the connection. May be called twice."""
        if self._undecided:
            self._undecided = False
            self._places.allowed(self._session_uid)

    def leave(self) -> None:
        """The connection is gone. May be called twice."""
        if not self._left:
            self._left = True
            self.allowed()
            self._places.left(self._session_uid, self._user_uid)


def _less(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
