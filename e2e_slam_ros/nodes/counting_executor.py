"""An executor that tells of messages that cannot be decoded."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from rclpy.executors import SingleThreadedExecutor


class CountingExecutor(SingleThreadedExecutor):  # type: ignore[misc]
    """Calls ``on_undecodable`` with the topic of each message that cannot be decoded.

    rclpy passes over such a message without a word. The middleware's error stays set, and each
    later one prints ten lines that no level of logging turns off. Here it is cleared.
    """

    def __init__(self, on_undecodable: Callable[[str], None]) -> None:
        super().__init__()
        self._on_undecodable = on_undecodable
        self._clear_error = _clear_error()

    def _take_subscription(self, sub: Any) -> Any:
        taken = super()._take_subscription(sub)
        # The subscription was ready: what came could not be decoded.
        if taken is None:
            self._clear_error()
            self._on_undecodable(str(sub.topic_name))
        return taken


def _clear_error() -> Callable[[], object]:
    try:
        clear: Callable[[], object] = ctypes.CDLL("librcutils.so").rcutils_reset_error
    except (OSError, AttributeError):  # another system: more lines, nothing else
        return lambda: None
    return clear
