"""Numbers in an order that tells nothing: a keyed permutation of all ids of a worker process.

Ids of log entries are shown to whoever is refused. A counter among them would tell how many
requests there were in between. This is a balanced Feistel network over a radix, as in NIST
SP 800-38G (FF1), with keyed BLAKE2 as its round function: whoever does not have the key sees
numbers as if drawn at random, no two the same; whoever has it finds the counter again.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

HALF: Final = 36**4
"""Numbers are below the square of this: eight base-36 digits."""
_ROUNDS: Final = 6
_SALTS: Final = tuple(bytes([number]) for number in range(_ROUNDS))


def permuted(number: int, key: bytes) -> int:
    """The place of a number; 0 <= number < HALF * HALF."""
    left, right = divmod(number, HALF)
    for salt in _SALTS:
        left, right = right, (left + _mixed(right, salt, key)) % HALF
    return left * HALF + right


def restored(place: int, key: bytes) -> int:
    """The number at a place; the reverse of `permuted`."""
    left, right = divmod(place, HALF)
    for salt in reversed(_SALTS):
        left, right = (right - _mixed(left, salt, key)) % HALF, left
    return left * HALF + right


def _mixed(half: int, salt: bytes, key: bytes) -> int:
    digest = blake2b(half.to_bytes(4), key=key, salt=salt, digest_size=8).digest()
    return int.from_bytes(digest)
