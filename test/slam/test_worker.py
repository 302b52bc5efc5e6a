"""The mapping thread and its newest-wins queue."""

from __future__ import annotations

import threading

from e2e_slam_ros.slam.worker import KeyframeWorker


class Gate:
    """Work that waits to be let through."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, item: int) -> None:
        self.entered.set()
        assert self.open.wait(10)
        self.done.append(item)


def fail(item: int, error: Exception) -> None:
    raise AssertionError(f"{item}: {error}")


def test_live_the_newest_waiting_item_wins_and_drops_are_counted() -> None:
    gate, dropped = Gate(), []
    worker = KeyframeWorker(gate, offline=False, on_error=fail, on_drop=dropped.append)
    worker.submit(1)
    assert gate.entered.wait(10)
    for item in (2, 3, 4):
        worker.submit(item)
    assert worker.pending == 2
    gate.open.set()
    assert worker.drain(10)
    assert gate.done == [1, 4] and dropped == [2, 3] and worker.dropped == 2
    worker.stop()


def test_offline_every_item_is_worked_on_in_order() -> None:
    gate = Gate()
    worker = KeyframeWorker(gate, offline=True, on_error=fail)
    for item in range(20):
        worker.submit(item)
    gate.open.set()
    assert worker.drain(10)
    assert gate.done == list(range(20)) and worker.dropped == 0
    worker.stop()


def test_an_error_is_reported_and_the_thread_lives_on() -> None:
    errors: list[tuple[int, str]] = []

    def process(item: int) -> None:
        if item == 1:
            raise ValueError("broken")
        errors.append((item, "fine"))

    worker = KeyframeWorker(process, True, on_error=lambda i, e: errors.append((i, str(e))))
    worker.submit(1)
    worker.submit(2)
    assert worker.drain(10)
    assert errors == [(1, "broken"), (2, "fine")]
    worker.stop()


def test_an_error_report_that_fails_does_not_end_the_thread() -> None:
    done: list[int] = []

    def process(item: int) -> None:
        if item == 1:
            raise ValueError("broken")
        done.append(item)

    worker = KeyframeWorker(process, True, on_error=fail)
    worker.submit(1)
    worker.submit(2)
    assert worker.drain(10)
    assert done == [2]
    worker.stop()


def test_drain_gives_up_and_stop_leaves_what_waits() -> None:
    gate = Gate()
    worker = KeyframeWorker(gate, offline=True, on_error=fail)
    worker.submit(1)
    worker.submit(2)
    assert not worker.drain(0.05)
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    gate.open.set()
    stopper.join(10)
    assert not stopper.is_alive() and gate.done in ([1], [1, 2])


def test_what_waits_or_is_worked_on_is_not_taken_twice() -> None:
    gate, dropped = Gate(), []
    worker = KeyframeWorker(
        gate, offline=False, on_error=fail, on_drop=dropped.append, key=lambda item: item % 10
    )
    worker.submit(1)
    assert gate.entered.wait(10)
    for item in (11, 2, 12, 1):
        worker.submit(item)
    gate.open.set()
    assert worker.drain(10)
    assert gate.done == [1, 2] and dropped == []
    worker.submit(11)
    assert worker.drain(10) and gate.done == [1, 2, 11], "done is done"
    worker.stop()
