"""What is told of a container is plain data that can be compared."""

from __future__ import annotations

from octelium.controller.status import ContainerEvent, ContainerStatus


def test_equal_states_are_equal_and_have_one_key() -> None:
    event = ContainerEvent("Pod a", "Warning", "BackOff", "again", 3, 1700000000)
    one = ContainerStatus("uid", "", address="10.0.0.1", port=80, events=(event,))
    other = ContainerStatus("uid", "", address="10.0.0.1", port=80, events=(event,))
    assert one == other
    assert one.key == ("uid", "")
    assert ContainerStatus("uid", "beta").key != one.key
