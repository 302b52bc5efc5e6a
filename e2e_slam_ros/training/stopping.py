"""Ctrl-C and SIGTERM as a request: half an optimiser step could not be continued."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A terminal's Ctrl-C reaches us twice under torchrun, which passes it on.
_REPEATED_S = 2.0


class StopRequest:
    """Notes the first signal while its block runs; a second one, later, interrupts at once.

    Attributes:
        asked: a signal came.

    Args:
        say: told when the first comes.

    >>> with StopRequest(print) as request:
    ...     request.asked
    False
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = False
        self._say = say
        self._at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python lets no other thread set handlers.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, _: int, __: FrameType | None) -> None:
        now = time.monotonic()
        if not self.asked:
            self.asked, self._at = True, now
            self._say("stopping after this step (again to stop at once)")
        elif now - self._at > _REPEATED_S:
            raise KeyboardInterrupt
