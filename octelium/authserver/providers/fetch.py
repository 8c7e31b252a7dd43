"""The one client by which the Cluster fetches what IdentityProviders publish.

Only https, with certificates checked; never through redirects to other origins; never more bytes
or seconds than were asked for. The address that was judged is the one that is connected to, so a
name that resolves otherwise the second time leads nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.authserver.providers.addresses import Address, is_loopback_host, refusal
from octelium.http.client_handshakes import watch_handshake
from octelium.schema import strict_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import httpx

_MOST_ORIGINS: Final = 256
_MOST_ADDRESSES: Final = 4
_MOST_REDIRECTS: Final = 3
_LONGEST_URL: Final = 4096
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a fetch may take, in seconds, and how many there may be."""

    deadline: float = 5.0
    """From the look-up of the name to the last byte."""
    connect: float = 2.0
    """To one address."""
    patience: float = 15.0
    """Of a fetch that waits for those before it."""
    at_once: int = 16
    """At one origin."""


class FetchError(Exception):
    """Nothing usable was fetched. The text names the URL without its query, and no secret."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, whole. `place` is where it came from, for error texts."""

    place: str
    status: int
    body: bytes = field(repr=False)

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises FetchError if it is none."""
        value = self._json()
        if not isinstance(value, dict):
            raise FetchError(f"{self.place} answers {self.status} with what is no JSON object")
        return value

    def json_list(self) -> list[Any]:
        """The body as a JSON array. Raises FetchError if it is none."""
        value = self._json()
        if not isinstance(value, list):
            raise FetchError(f"{self.place} answers {self.status} with what is no JSON array")
        return value

    def _json(self) -> Any:
        try:
            return strict_json.parse(self.body)
        except ValueError:
            return None

    def require_ok(self) -> Fetched:
        """Itself. Raises FetchError unless the status is 200."""
        if self.status != 200:
            raise FetchError(f"{self.place} answers {self.status}")
        return self


class Resolve(Protocol):
    """Looks up the addresses of a host name."""

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Raises OSError if there are none."""
        ...


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses that the system knows for a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=1)  # SOCK_STREAM
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


@cache
def trust() -> ssl.SSLContext:
    """The system's certificate authorities, and those of the file that SSL_CERT_FILE names."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if own := os.environ.get("SSL_CERT_FILE"):  # replaces the system's file while that is loaded
        context.load_verify_locations(own)
        system = ssl.get_default_verify_paths().openssl_cafile
        if os.path.isfile(system):  # noqa: PTH113 - a path of OpenSSL, not of ours
            context.load_verify_locations(system)
    return context


_loading = threading.Lock()


def _load() -> ssl.SSLContext:
    """What requests need, which takes a quarter of a second the first time."""
    with _loading:  # of many first logins one loads
        import httpx

        context = trust()
        httpx.AsyncClient(verify=context, trust_env=False)  # loads more
        return context


class Fetcher:
    """Fetches on behalf of IdentityProviders.

    `configured` is the URL that an administrator wrote: only if that is on this machine may what
    it leads to be there too. `limit` is the most bytes that an answer may have.
    """

    def __init__(
        self,
        *,
        resolver: Resolve = resolve,
        context: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._resolve = resolver
        self._context = context
        self._limits = limits or Limits()
        self._slots: OrderedDict[str, asyncio.Semaphore] = OrderedDict()

    async def get(
        self,
        url: str,
        *,
        configured: str,
        limit: int,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """What a GET answers; redirects are followed within the origin. Raises FetchError."""
        context = await self._prepare()
        target = _target(url)
        loopback = is_loopback_host(_target(configured).host)
        async with self._slot(target), _within(target, self._limits.deadline):
            for _ in range(_MOST_REDIRECTS + 1):
                answer, location = await self._send(
                    context, "GET", target, headers or {}, None, limit, loopback
                )
                if answer.status not in _REDIRECTS:
                    return answer
                target = _redirected(target, location)
        raise FetchError(f"{_place(target)} redirects too often")

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        configured: str,
        limit: int,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """What a form posted to `url` is answered with. Raises FetchError."""
        context = await self._prepare()
        target = _target(url)
        loopback = is_loopback_host(_target(configured).host)
        async with self._slot(target), _within(target, self._limits.deadline):
            answer, _ = await self._send(
                context, "POST", target, headers or {}, form, limit, loopback
            )
        if answer.status in _REDIRECTS:
            raise FetchError(f"{answer.place} redirects a POST")
        return answer

    async def _prepare(self) -> ssl.SSLContext:
        """Have everything loaded, the settings of TLS too; the loop has other work meanwhile."""
        if self._context is None:
            self._context = await asyncio.to_thread(_load)
        return self._context

    @asynccontextmanager
    async def _slot(self, target: httpx.URL) -> AsyncIterator[None]:
        """One of a few places at an origin: a rush of logins waits instead of running late."""
        origin = target.netloc.decode("ascii")
        slots = self._slots.setdefault(origin, asyncio.Semaphore(self._limits.at_once))
        self._slots.move_to_end(origin)
        if len(self._slots) > _MOST_ORIGINS:
            self._slots.popitem(last=False)
        try:
            async with asyncio.timeout(self._limits.patience):
                await slots.acquire()
        except TimeoutError as error:
            raise FetchError(f"{_place(target)} is asked by too many at once") from error
        try:
            yield
        finally:
            slots.release()

    async def _send(
        self,
        context: ssl.SSLContext,
        method: str,
        target: httpx.URL,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None,
        limit: int,
        loopback: bool,
    ) -> tuple[Fetched, str]:
        """An answer, and the value of its Location."""
        import httpx

        place = _place(target)
        told = {
            "Accept": "application/json",
            **headers,
            "Host": target.netloc.decode("ascii"),
            "User-Agent": "octelium",
            "Accept-Encoding": "identity",
        }
        client = httpx.AsyncClient(
            verify=context,
            trust_env=False,
            timeout=httpx.Timeout(None, connect=self._limits.connect),
            limits=httpx.Limits(max_keepalive_connections=0),
            event_hooks={"request": [watch_handshake]},
        )
        problem: Exception | None = None
        async with client:
            for address in await self._addresses(target, loopback):
                request = client.build_request(
                    method,
                    target.copy_with(host=str(address)),
                    headers=told,
                    data=form,
                    extensions={"sni_hostname": target.raw_host.decode("ascii")},
                )
                try:
                    answer = await client.send(request, stream=True)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    problem = error
                    continue
                except httpx.HTTPError as error:
                    raise FetchError(f"{place} does not answer: {_reason(error)}") from error
                try:
                    body = await _body(answer, place, limit)
                except httpx.HTTPError as error:
                    raise FetchError(f"{place} does not answer: {_reason(error)}") from error
                finally:
                    await answer.aclose()
                fetched = Fetched(place, answer.status_code, body)
                return fetched, answer.headers.get("location", "")
        raise FetchError(f"{place} cannot be reached: {_reason(problem)}") from problem

    async def _addresses(self, target: httpx.URL, loopback: bool) -> list[Address]:
        host = target.raw_host.decode("ascii").strip("[]")
        try:
            found = await self._resolve(host, target.port or 443)
        except (OSError, UnicodeError, ValueError) as error:
            raise FetchError(f"{_place(target)}: the host has no address") from error
        judged = {address: refusal(address, loopback=loopback) for address in found}
        usable = [address for address, problem in judged.items() if problem is None]
        if not usable:
            problems = ", ".join(f"{address} {problem}" for address, problem in judged.items())
            raise FetchError(f"{_place(target)}: {problems or 'the host has no address'}")
        return usable[:_MOST_ADDRESSES]


@asynccontextmanager
async def _within(target: httpx.URL, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise FetchError(f"{_place(target)} does not answer in time") from error


def _target(url: str) -> httpx.URL:
    """A URL that may be fetched. Raises FetchError."""
    import httpx

    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise FetchError("the URL is too long, or holds characters that must be escaped")
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FetchError("the URL cannot be read") from error
    if target.scheme != "https" or not target.host:
        raise FetchError(f"{_place(target)} is no https URL")
    if target.port is not None and not 0 < target.port < 65536:
        raise FetchError(f"{_place(target)} has a port that does not exist")
    if target.userinfo:
        raise FetchError(f"{_place(target)}: a URL with a user in it is not fetched")
    return target


def _redirected(target: httpx.URL, location: str) -> httpx.URL:
    import httpx

    try:
        found = _target(str(target.join(location)))
    except httpx.InvalidURL as error:
        raise FetchError(f"{_place(target)} redirects to what is no URL") from error
    if (found.host, found.port) != (target.host, target.port):
        raise FetchError(f"{_place(target)} redirects to another origin")
    return found


def _place(target: httpx.URL) -> str:
    """A URL as texts may show it: without user, query and fragment."""
    host = target.netloc.decode("ascii", "replace")
    return f"{target.scheme}://{host}{target.path}"[:300]


async def _body(answer: httpx.Response, place: str, limit: int) -> bytes:
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"{place} answers with an encoding that was not asked for")
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > limit:
            raise FetchError(f"{place} answers with more than {limit} bytes")
    return bytes(body)


def _reason(error: Exception | None) -> str:
    """What happened, in words that hold nothing of the request."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({cause.verify_message}); name its authority in "
                "the file that SSL_CERT_FILE of `octelium up` names"
            )
        if isinstance(cause, ssl.SSLError):  # whose numbers are none of the system's
            if cause.reason:
                return f"its TLS cannot be used ({cause.reason})"
        elif isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
