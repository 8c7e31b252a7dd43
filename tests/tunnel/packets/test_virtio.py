from __future__ import annotations

import pytest

from octelium.tunnel.packets import virtio


def test_a_head_is_ten_bytes_of_the_machines_order() -> None:
    head = virtio.Head(virtio.NEEDS_CSUM, virtio.TCP6, 72, 1208, 40, 16)
    assert len(head.pack()) == virtio.HEADER == 10
    assert virtio.parse(head.pack() + b"rest") == head
    assert virtio.parse(virtio.PLAIN) == (0, virtio.NONE, 0, 0, 0, 0)


def test_less_is_no_head() -> None:
    with pytest.raises(ValueError, match="9 bytes"):
        virtio.parse(bytes(9))
