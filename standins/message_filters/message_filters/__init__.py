"""Stand-in for the part of message_filters that e2e_slam_ros calls."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.time import Time

__all__ = ["ApproximateTimeSynchronizer", "SimpleFilter", "Subscriber", "TimeSynchronizer"]


class SimpleFilter:
    """Base of filters that pass messages to callbacks."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., None], *args: Any) -> int:  # noqa: N802
        """Call `cb(*messages, *args)` for every output. Return a handle."""
        handle = len(self.callbacks)
        self.callbacks[handle] = (cb, args)
        return handle

    def signalMessage(self, *messages: Any) -> None:  # noqa: N802
        """Pass `messages` to the callbacks."""
        for callback, args in list(self.callbacks.values()):
            callback(*messages, *args)


class Subscriber(SimpleFilter):
    """A subscription as a filter: Subscriber(node, message_type, topic, qos_profile=...)."""

    def __init__(self, node: Node, msg_type: type, topic: str, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        kwargs.setdefault("qos_profile", 10)
        self.sub = node.create_subscription(msg_type, topic, self.signalMessage, **kwargs)

    def getTopic(self) -> str:  # noqa: N802
        """Return the topic as given."""
        return self.topic


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message from each input, all with the same stamp."""

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        for number, source in enumerate(fs):
            source.registerCallback(self._add, number)

    def _add(self, message: Any, number: int) -> None:
        stamp = self._stamp(message)
        if stamp is None:
            return
        # Signalled under the lock, so that sets leave in the order of their completion.
        with self.lock:
            queue = self.queues[number]
            queue[stamp] = message
            while len(queue) > self.queue_size:
                del queue[min(queue)]
            stamps = self._matching(stamp, number) if stamp in queue else None
            if stamps is not None:
                pairs = zip(self.queues, stamps, strict=True)
                self.signalMessage(*[queue.pop(stamp) for queue, stamp in pairs])

    def _stamp(self, message: Any) -> int | None:
        return int(Time.from_msg(message.header.stamp).nanoseconds)

    def _matching(self, stamp: int, number: int) -> list[int] | None:
        """Return a stamp for each queue that forms a set with the new message, or None."""
        complete = all(stamp in queue for queue in self.queues)
        return [stamp] * len(self.queues) if complete else None


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Calls back with one message from each input, with stamps within `slop` seconds."""

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
    ) -> None:
        if allow_headerless:
            raise NotImplementedError("the stand-in needs messages with a header")
        self.slop_ns = round(slop * 1e9)
        super().__init__(fs, queue_size)

    def _matching(self, stamp: int, number: int) -> list[int] | None:
        candidates = []
        for index, queue in enumerate(self.queues):
            near = [other for other in queue if abs(other - stamp) <= self.slop_ns]
            nearest_first = sorted(near, key=lambda other: abs(other - stamp))
            candidates.append([stamp] if index == number else nearest_first)
        sets = itertools.product(*candidates)
        return next((list(s) for s in sets if max(s) - min(s) <= self.slop_ns), None)
