"""One session's keys and counters, and the window of counters already seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from octelium.tunnel.wireguard.constants import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.tunnel.wireguard.peer import Peer
    from octelium.tunnel.wireguard.primitives import Buffer

    Cipher = Callable[[Buffer, Buffer, Buffer | None], bytes]
    """(nonce, text, nothing)"""

_KEEP = (1 << WINDOW) - 1
_TRIM = 1 << (2 * WINDOW)


class Keypair:
    """A session (section 5.4.5), in one direction each its own key.

    Attributes:
        index: our index, in messages to us; `remote`: theirs.
        encrypt, decrypt: ciphers of `sending` and `receiving`, None until they are asked for: each
            takes 2.4 kB, and of peers that say nothing only one is ever used.
        counter: of the next message to send.
        dies: when it is neither sent nor received with any more, in seconds of the clock.
        renew: when its initiator asks for the next session on sending.
        last_minute: when its initiator asks for the next session on receipt.
    """

    __slots__ = (
        "_receive",
        "_send",
        "_window",
        "counter",
        "decrypt",
        "dies",
        "encrypt",
        "greatest",
        "index",
        "initiator",
        "last_minute",
        "peer",
        "remote",
        "renew",
    )

    def __init__(
        self,
        peer: Peer,
        *,
        index: int,
        remote: int,
        send: bytes,
        receive: bytes,
        initiator: bool,
        dies: float,
        renew: float,
        last_minute: float,
    ) -> None:
        self.peer = peer
        self.index = index
        self.remote = remote
        self._send = send
        self._receive = receive
        self.encrypt: Cipher | None = None
        self.decrypt: Cipher | None = None
        self.initiator = initiator
        self.dies = dies
        self.renew = renew
        self.last_minute = last_minute
        self.counter = 0
        self.greatest = -1
        self._window = 0

    def sending(self) -> Cipher:
        """What encrypts from now on."""
        self.encrypt = made = ChaCha20Poly1305(self._send).encrypt
        return made

    def receiving(self) -> Cipher:
        """What decrypts from now on; it raises InvalidTag."""
        self.decrypt = made = ChaCha20Poly1305(self._receive).decrypt
        return made

    def rest(self) -> None:
        """Let go of the ciphers: another session follows, and little or nothing comes in this."""
        self.encrypt = self.decrypt = None

    def accept(self, counter: int) -> bool:
        """Whether `counter` of an authentic message is new; it counts as seen from now on.

        RFC 6479's purpose with one number as the bitmap: bit n stands for `greatest` - n.
        """
        ahead = counter - self.greatest
        window = self._window
        if ahead > 0:
            if ahead < WINDOW:
                window = window << ahead | 1
                # Trimmed only now and then; `behind` below does not look at the surplus.
                self._window = window if window < _TRIM else window & _KEEP
            else:
                self._window = 1
            self.greatest = counter
            return True
        behind = -ahead
        if behind >= WINDOW or window >> behind & 1:
            return False
        self._window = window | 1 << behind
        return True
