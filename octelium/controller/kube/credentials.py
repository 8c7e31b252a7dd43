"""The token of a service account, as a file has it at the moment.

Kubernetes, "Configure Service Accounts for Pods": the token is replaced before it ends, and who
uses it has to read it again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx

from octelium.controller.kube.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, section 2.1."""


class TokenFile(httpx.Auth):
    """Sends the token of a file, and the new one if it was replaced while a call was under way."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign one call, as the library asks for it. Raises `BusyError` without a token."""
        token = self._read()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and (newer := self._read()) != token:
            request.headers["Authorization"] = f"Bearer {newer}"
            yield request

    def _read(self) -> str:
        try:
            token = self._path.read_bytes().strip()
        except OSError as error:
            raise BusyError(f"the token of the service account: {error}") from error
        if not _TOKEN.fullmatch(token):
            raise BusyError(f"the token of the service account: {self._path} holds none")
        return token.decode("ascii")
