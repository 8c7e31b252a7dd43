"""The keys that foreign issuers sign with: fetched when needed, remembered, renewed with care.

An issuer's keys are fetched once a minute at most, whatever comes in; a token by an unknown key,
or any number of them, causes no more than that.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from octelium.authserver.providers.cache import Cache
from octelium.authserver.providers.fetch import FetchError
from octelium.identity import assertions
from octelium.identity.assertions import Expected, Keys, UnknownKeyError, UnprovenError, Unverified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.authserver.providers.discovery import Discoveries
    from octelium.authserver.providers.fetch import Fetcher

PAUSE: Final = 60.0
"""Seconds between two fetches of an issuer's keys."""
LIFETIME: Final = 600.0
"""Seconds after which keys are fetched anew, so that withdrawn ones are forgotten."""
KEEP: Final = 3600.0
"""Seconds that keys are used for while the issuer cannot be reached."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the keys of an issuer are: at its URL, at one of their own, or in `content`."""

    issuer_url: str = ""
    """Discovery tells where; if `jwks_url` is set too, what the administrator wrote."""
    jwks_url: str = ""
    content: str = ""


class KeysOfIssuers:
    """Verifies tokens of issuers. `clock` gives Unix seconds, `timer` seconds that never jump."""

    def __init__(
        self,
        fetcher: Fetcher,
        discoveries: Discoveries,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._discoveries = discoveries
        self._clock = clock
        self._cache = Cache(self._fetch, lifetime=LIFETIME, pause=PAUSE, keep=KEEP, clock=timer)

    async def verify(
        self, unverified: Unverified, source: KeySource, expected: Expected
    ) -> Mapping[str, Any]:
        """The claims of a token, every check passed.

        Raises:
            UnprovenError: it proves nothing, here and now.
            FetchError: the keys cannot be had.
        """
        if source.content:
            keys = _parse(source.content)
            return assertions.verify(unverified, keys, expected, now=self._clock())
        keys = await self._cache.get(source)
        try:
            return assertions.verify(unverified, keys, expected, now=self._clock())
        except UnprovenError as error:
            if unverified.key_id is not None and not isinstance(error, UnknownKeyError):
                raise  # who names no key may have signed with a new one
            newer = await self._cache.get(source, younger=PAUSE)
            if newer is keys:
                raise
        return assertions.verify(unverified, newer, expected, now=self._clock())

    async def _fetch(self, source: KeySource) -> Keys:
        url = source.jwks_url or (await self._discoveries.get(source.issuer_url)).jwks_uri
        answer = await self._fetcher.get(
            url, configured=source.issuer_url or url, limit=assertions.LONGEST_KEYS
        )
        try:
            return Keys.parse(answer.require_ok().body)
        except ValueError as error:
            raise FetchError(f"{answer.place}: {error}") from error


@lru_cache(maxsize=64)
def _parse(content: str) -> Keys:
    try:
        return Keys.parse(content)
    except ValueError as error:
        raise FetchError(f"jwksContent: {error}") from error
