"""Answers of services with long work."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node
from rclpy.task import Future

from e2e_slam_ros.nodes.diagnostics import Diagnostics


class SlowAnswers:
    """Does the work of ``std_srvs/Trigger`` services.

    An answer is success with a sentence, or failure with the reason.

    Args:
        node: its executor wakes the coroutine that waits for an answer.
        diagnostics: counts failures.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics) -> None:
        self._node = node
        self._diagnostics = diagnostics

    def now(self, kind: str, work: Callable[[], object]) -> tuple[bool, str]:
        """Do the work in this thread. ``kind`` is its name in the log and in diagnostics."""
        try:
            done = str(work())
        except Exception as error:  # Whatever it is, the caller gets an answer.
            self._diagnostics.problem(kind, error)
            return False, str(error)
        self._node.get_logger().info(f"{kind}: {done}")
        return True, done

    def aside(self, kind: str, work: Callable[[], object]) -> Future:
        """Do slow work in a thread of its own. Return a future of its answer.

        Files of a large map take seconds. Mapping a keyframe, which holds the map, may take
        seconds too. Images must be received meanwhile. A second executor thread is no solution,
        because rclpy's MultiThreadedExecutor stalls for up to half a second.
        """
        answer = Future(executor=self._node.executor)
        threading.Thread(
            target=lambda: answer.set_result(self.now(kind, work)), name=f"{kind}-map", daemon=True
        ).start()
        return answer
