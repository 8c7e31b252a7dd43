from __future__ import annotations

from octelium.visibility.batch import LONGEST_TARGET, decode
from octelium.visibility.record import AuditSubject
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
    assert (len(sink), sink.dropped, sink.full) == (3, 1, True)
    open_gate = True
    assert sink.flush()
    sink.append(record(4))
    assert sink.flush()
    assert [row.number for data in taken for row in decode(data).rows] == [0, 1, 2, 4]


def test_whoever_flushes_is_woken_by_the_first_record_only() -> None:
    woken: list[int] = []
    open_gate = True
    sink = BatchingSink(lambda _batch: open_gate, wake=lambda: woken.append(len(sink)))
    for number in range(3):
        sink.append(record(number))
    assert woken == [1]
    assert sink.flush()
    assert woken == [1]
    sink.append(record(3))
    assert woken == [1, 1]
    open_gate = False
    assert not sink.flush()
    sink.append(record(4))
    assert woken == [1, 1]
    open_gate = True
    assert sink.flush()
    sink.append(record(5))
    assert woken == [1, 1, 1]


def test_a_flood_of_refused_requests_leaves_room_for_those_of_known_sessions() -> None:
    sink = BatchingSink(lambda _batch: False, capacity=4)
    unknown = AuditSubject("HTTP", False, False, {})
    for number in range(2):
        sink.append(record(number, unknown))
    sink.flush()
    for number in range(2, 50):
        sink.append(record(number, unknown))
    for number in range(50, 53):
        sink.append(record(number))
    assert [kept.number for kept in sink._records] == [0, 1, 50, 51]
    assert sink.dropped == 49


def test_what_waits_holds_no_long_targets() -> None:
    sink = BatchingSink(lambda _batch: False)
    made = record(1)
    made.target = b"/" * 30_000
    sink.append(made)
    sink.flush()
    assert len(sink._records[0].target) == LONGEST_TARGET


def test_requests_of_nobody_are_in_batches_of_their_own() -> None:
    nobody = AuditSubject("HTTP", False, False, {})
    sent: list[bytes] = []
    refusing = False

    def send(data: bytes) -> bool:
        if refusing and decode(data).span.anonymous:  # type: ignore[union-attr]  # never empty
            return False
        sent.append(data)
        return True

    sink = BatchingSink(send)
    for number in range(4):
        sink.append(record(number, nobody) if number % 2 else record(number))
    refusing = True
    assert not sink.flush()
    refusing = False
    sink.append(record(4))
    assert sink.flush()
    rows = [[row.number for row in decode(data).rows] for data in sent]
    assert rows == [[0, 2], [4], [1, 3]]
    assert (sink.written, sink.dropped) == (5, 0)
