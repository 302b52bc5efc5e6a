"""An executor that tells of messages that cannot be decoded."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
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

    def _take_subscription(self, sub: Any) -> Any:
        taken = super()._take_subscription(sub)
        # The subscription was ready: what came could not be decoded.
        if taken is None:
            clear_error()
            self._on_undecodable(str(sub.topic_name))
        return taken


def clear_error() -> bool:
    """Clear the middleware's error; return whether there was one, where that can be known."""
    library = _library()
    if library is None:
        return False
    was_set = bool(library.rcutils_error_is_set())
    library.rcutils_reset_error()
    return was_set


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("librcutils.so")
        library.rcutils_error_is_set.restype = ctypes.c_bool
        library.rcutils_reset_error.restype = None
    except (OSError, AttributeError):  # another system: more lines, nothing else
        return None
    return library
