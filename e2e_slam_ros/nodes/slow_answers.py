"""Answers of services that take their time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node
from rclpy.task import Future

from e2e_slam_ros.nodes.diagnostics import Diagnostics


class SlowAnswers:
    """Does the work of ``std_srvs/Trigger`` services: success and a sentence, or the reason.

    Args:
        node: its executor wakes who awaits an answer.
        diagnostics: counts what failed.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics) -> None:
        self._node = node
        self._diagnostics = diagnostics

    def now(self, kind: str, work: Callable[[], object]) -> tuple[bool, str]:
        """Do the work in this thread; ``kind`` names it in the log and in diagnostics."""
        try:
            done = str(work())
        except Exception as error:  # Whatever it is, the caller gets an answer.
            self._diagnostics.problem(kind, error)
            return False, str(error)
        self._node.get_logger().info(f"{kind}: {done}")
        return True, done

    def aside(self, kind: str, work: Callable[[], object]) -> Future:
        """Do slow work in a thread of its own and return what it will answer.

        Files of a large map take seconds, and so may the mapping of a keyframe that holds the
        map; images must go on meanwhile. A second executor thread is no way out: rclpy's
        MultiThreadedExecutor stalls for up to half a second.
        """
        answer = Future(executor=self._node.executor)
        threading.Thread(
            target=lambda: answer.set_result(self.now(kind, work)),
            name=f"{kind}-map",
            daemon=True,
        ).start()
        return answer
