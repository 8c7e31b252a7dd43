from __future__ import annotations

from octelium.visibility.batch import decode
from octelium.visibility.sink import BatchingSink
from tests.visibility.samples import record


def test_records_arrive_in_batches_in_order() -> None:
    sent: list[bytes] = []

    def send(data: bytes) -> bool:
        sent.append(data)
        return True

    sink = BatchingSink(send, batch_size=2)
    for number in range(5):
        sink.append(record(number))
    assert sink.flush()
    assert [row.number for data in sent for row in decode(data).rows] == [0, 1, 2, 3, 4]
    assert len(sent) == 3
    assert (len(sink), sink.written, sink.dropped) == (0, 5, 0)


def test_records_wait_while_nobody_takes_them_and_are_counted_when_too_many() -> None:
    taken: list[bytes] = []
    open_gate = False

    def send(data: bytes) -> bool:
        if open_gate:
            taken.append(data)
        return open_gate

    sink = BatchingSink(send, capacity=3)
    for number in range(3):
        sink.append(record(number))
    assert not sink.flush()
    sink.append(record(3))
    assert (len(sink), sink.dropped) == (3, 1)
    open_gate = True
    assert sink.flush()
    sink.append(record(4))
    assert sink.flush()
    assert [row.number for data in taken for row in decode(data).rows] == [0, 1, 2, 4]
