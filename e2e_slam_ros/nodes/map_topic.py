"""A latched topic that follows the map."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from e2e_slam_ros.config import Config
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.configured_node import is_active
from e2e_slam_ros.nodes.qos import latched
from e2e_slam_ros.slam.worker import KeyframeWorker

_CHECK_PERIOD_S = 0.1


class MapTopic(ABC):
    """Publishes a latched topic when the map has changed and the topic has a subscriber.

    A thread of its own makes the message. It may wait until the fusion of a keyframe ends, and
    the executor must not wait for that.

    Args:
        kind: type of the message.
        topic: name of the topic.
        config: may be replaced while running.
        lock: held by every reader and writer of ``surfels``.
        on_problem: called with (kind, error) from any thread.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        config: Config,
        surfels: SurfelMap,
        lock: threading.Lock,
        on_problem: Callable[[str, Exception | str], None],
    ) -> None:
        self.config = config
        self._node = node
        self._surfels = surfels
        self._lock = lock
        self._publisher = node.create_publisher(kind, topic, latched())
        self._changes = self._published = 0
        self._stamp_ns = 0
        self._begun_s, self._took_s = -1e9, 0.0
        self._worker: KeyframeWorker[int] = KeyframeWorker(
            self._publish, False, lambda _, error: on_problem("publish", error)
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_CHECK_PERIOD_S, self.check, clock=steady)

    def changed(self, stamp_ns: int | None = None) -> None:
        """Record that the map changed, by the keyframe with that stamp or otherwise."""
        if stamp_ns is not None:
            self._stamp_ns = stamp_ns
        self._changes += 1

    def close(self) -> None:
        """End the thread."""
        self._worker.stop()

    def check(self) -> None:
        """Start making the message if it is due (executor thread, microseconds)."""
        due = time.monotonic() - self._begun_s >= self._pause_s(self._took_s)
        if due and self._changes != self._published and self._worker.pending == 0:
            if is_active(self._node) and self._publisher.get_subscription_count() > 0:
                self._worker.submit(self._changes)

    @abstractmethod
    def _pause_s(self, took_s: float) -> float:
        """Return the time between the starts of two messages, seconds.

        Args:
            took_s: the time that the last message took, seconds.
        """

    @abstractmethod
    def _message(self) -> Any:
        """Return the message (own thread; the lock is not held)."""

    def _publish(self, changes: int) -> None:
        begun_s = time.monotonic()
        try:
            self._publisher.publish(self._message())
            self._published = changes
        finally:
            self._begun_s, self._took_s = begun_s, time.monotonic() - begun_s
