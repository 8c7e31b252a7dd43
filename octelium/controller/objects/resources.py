"""What a container may use: requests and limits of its resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.schema.quantities import Quantity, mebibytes, millis, parse_quantity

if TYPE_CHECKING:
    from octelium.controller.objects.outcome import Manifest
    from octelium.schema.pb import core_v1_pb2 as core

_MIB: Final = 1024 * 1024
_CPU: Final = (10, 1000)
"""Thousandths of a core: the request, and the limit where none is given."""
_MEMORY: Final = (5, 512)
"""MiB."""
_STORAGE: Final = (50, 5000)
"""MiB of the node's own disk."""
STORAGE: Final = "ephemeral-storage"


def resources_of(container: core.ServiceSpecConfigUpstreamContainer) -> Manifest:
    """Requests and limits, in canonical form; no request is more than its limit.

    Further resources, which devices have, are requested as they are limited: they cannot be
    overcommitted ("Extended resources" in the documentation of Kubernetes).
    """
    given = container.resource_limit
    cpu = given.cpu.millicores or _CPU[1]
    memory = given.memory.megabytes or _MEMORY[1]
    further = {name: parse_quantity(given.ext[name]) for name in sorted(given.ext)}
    storage = further.pop(STORAGE, Quantity(_STORAGE[1] * _MIB, "binary"))
    exact = {name: str(amount) for name, amount in further.items()}
    return {
        "requests": {
            "cpu": millis(min(_CPU[0], cpu)),
            "memory": mebibytes(min(_MEMORY[0], memory)),
            STORAGE: str(min(Quantity(_STORAGE[0] * _MIB, "binary"), storage, key=_amount)),
            **exact,
        },
        "limits": {
            "cpu": millis(cpu),
            "memory": mebibytes(memory),
            STORAGE: str(storage),
            **exact,
        },
    }


def needs_devices(container: core.ServiceSpecConfigUpstreamContainer) -> bool:
    """Whether it uses resources of which a node may have only what one Pod takes."""
    return bool(set(container.resource_limit.ext) - {STORAGE})


def _amount(quantity: Quantity) -> int:
    return quantity.value
