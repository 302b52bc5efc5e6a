"""The thread that maps keyframes, and the rule for keyframes that come too fast."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class KeyframeWorker(Generic[T]):
    """Runs ``process(item)`` in one background thread.

    Args:
        process: the work; an exception of it goes to ``on_error``, and the thread lives on.
        offline: true: every item, in order; false: one item waits at most, a newer one takes
            its place and the older is counted in ``dropped``.
        on_error: called with the item and the exception that its work raised.
        on_drop: called with an item that a newer one replaced.
        key: names an item; one with the name of an item that waits or is being worked on is
            left out, without a call of ``on_drop``.

    Example:
        >>> done: list[int] = []
        >>> worker = KeyframeWorker(done.append, offline=True, on_error=lambda item, error: None)
        >>> for number in range(3):
        ...     worker.submit(number)
        >>> worker.drain(timeout_s=10.0), done
        (True, [0, 1, 2])
        >>> worker.stop()
    """

    def __init__(
        self,
        process: Callable[[T], None],
        offline: bool,
        on_error: Callable[[T, Exception], None],
        on_drop: Callable[[T], None] | None = None,
        key: Callable[[T], object] | None = None,
    ) -> None:
        self._process = process
        self._key = key
        self._offline = offline
        self._on_error = on_error
        self._on_drop = on_drop
        self._condition = threading.Condition()
        self._waiting: deque[T] = deque()
        self._at_work: list[T] = []
        self._stopping = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="keyframe-worker", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """The number of items that a newer one replaced."""
        return self._dropped

    @property
    def pending(self) -> int:
        """The number of items that wait or are being worked on."""
        with self._condition:
            return len(self._waiting) + len(self._at_work)

    @property
    def is_pressed(self) -> bool:
        """Whether an item waits that a newer one would replace."""
        return not self._offline and bool(self._waiting)

    def submit(self, item: T) -> None:
        """Hand over an item; never blocks."""
        replaced: list[T] = []
        with self._condition:
            if self._is_known(item):
                return
            if not self._offline:
                replaced.extend(self._waiting)
                self._waiting.clear()
                self._dropped += len(replaced)
            self._waiting.append(item)
            self._condition.notify_all()
        if self._on_drop is not None:
            for old in replaced:
                self._on_drop(old)

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing waits and nothing is being worked on; false at the time-out."""
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._waiting or self._at_work:
                left = deadline - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._condition.wait(left)
        return True

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish the item at work, leave the waiting ones, and end the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _is_known(self, item: T) -> bool:
        """Whether an item of this name waits or is being worked on; the lock is held."""
        if self._key is None:
            return False
        name = self._key(item)
        return any(self._key(other) == name for other in (*self._waiting, *self._at_work))

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                item = self._waiting.popleft()
                self._at_work.append(item)
            try:
                self._process(item)
            except Exception as error:
                # A report that fails must not end the thread: nothing would be mapped any more.
                with suppress(Exception):
                    self._on_error(item, error)
            finally:
                with self._condition:
                    self._at_work.clear()
                    self._condition.notify_all()
