"""What the Cluster's machine has to keep sound: certificates, the store, its disk, its clock."""

from __future__ import annotations

import ctypes
import datetime as dt
import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from cryptography import x509

from octelium.cluster.tls_secrets import LABEL
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SOON: Final = dt.timedelta(days=21)
LITTLE: Final = 1 << 30
"""Bytes of free space below which an administrator should know."""
NOTHING: Final = 64 << 20
_CHECK: Final = 5.0
"""Seconds for a look through the store."""
_STEPS: Final = 20_000
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 256
_RENEW: Final = "octops cert DOMAIN --cert FILE --key FILE, or --own, on the Cluster's machine"
_BACKUP: Final = "restore a backup of the store's folder, and look at the disk's health"


def part(name: str, outcome: str, detail: str, remedy: str = "") -> ext.DiagnosedPart:
    """One part of a diagnosis."""
    return ext.DiagnosedPart(name=name, outcome=outcome, detail=detail, remedy=remedy)


def certificates(secrets: Iterable[core.Secret], now: dt.datetime) -> list[ext.DiagnosedPart]:
    """Each certificate that the front door shows, and how long it is valid."""
    found = []
    for secret in secrets:
        if secret.metadata.system_labels.get(LABEL) != "true":
            continue
        namespace = secret.metadata.name.removeprefix("crt-ns-")
        found.append(_certificate(f"certificate of {namespace}", secret.spec.data.value, now))
    return found or [part("certificates", "fail", "there is none", _RENEW)]


def _certificate(name: str, pem: str, now: dt.datetime) -> ext.DiagnosedPart:
    try:
        leaf = x509.load_pem_x509_certificates(pem.encode())[0]
    except (ValueError, IndexError) as error:
        return part(name, "fail", f"it cannot be read: {error}", _RENEW)
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begins:
        return part(name, "fail", f"it is valid from {begins:%Y-%m-%d} on", "see the clock")
    if now >= ends:
        return part(name, "fail", f"it expired on {ends:%Y-%m-%d}", _RENEW)
    told = f"it is valid until {ends:%Y-%m-%d}, {(ends - now).days} days"
    return part(name, "warn", told, _RENEW) if ends - now < SOON else part(name, "ok", told)


def store(file: Path, seconds: float = _CHECK) -> ext.DiagnosedPart:
    """Whether the store's file is whole (SQLite, PRAGMA quick_check). Blocks: call it in a thread.

    A store that is too large to be looked through in time is reported as not checked.
    """
    deadline = time.monotonic() + seconds
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1.0)) as database:
            database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            rows = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            told = f"it is too large to be looked through within {seconds:g} s"
            return part("store", "skipped", told, f"sqlite3 {file} 'PRAGMA quick_check'")
        return part("store", "fail", f"it cannot be read: {error}", _BACKUP)
    except sqlite3.DatabaseError as error:
        return part("store", "fail", f"it is damaged: {error}", _BACKUP)
    if rows != ["ok"]:
        return part("store", "fail", f"it is damaged: {'; '.join(rows)}", _BACKUP)
    return part("store", "ok", "its file is whole")


def disk(folder: Path, free_bytes: Callable[[Path], int] | None = None) -> ext.DiagnosedPart:
    """How much room there is for resources and logs."""
    try:
        free = (free_bytes or _free)(folder)
    except OSError as error:
        return part("disk", "fail", f"{folder}: {error.strerror}", "see whether it is mounted")
    told = f"{free / (1 << 30):.1f} GiB are free at {folder}"
    remedy = "make room, or have less kept: log_retention_days, log_capacity_mb"
    if free < NOTHING:
        return part("disk", "fail", told, remedy)
    return part("disk", "warn", told, remedy) if free < LITTLE else part("disk", "ok", told)


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def clock(state: Callable[[], int] | None = None) -> ext.DiagnosedPart:
    """Whether something keeps the machine's clock right (adjtimex(2)).

    Another program than the kernel's own discipline may do so without saying it there.
    """
    if (state or _clock_state)() == _TIME_ERROR:
        told = "the kernel knows of nothing that keeps it right"
        return part("clock", "warn", told, "run a time service: chrony or systemd-timesyncd")
    return part("clock", "ok", "it is kept in step")


def _clock_state() -> int:
    """What adjtimex(2) returns when it is only asked: `modes`, the first field, is 0."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    return int(ctypes.CDLL(None, use_errno=True).adjtimex(buffer))
