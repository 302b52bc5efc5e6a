"""The services that save and reset a map."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.map_output import MapOutput


class MapServices:
    """``~/save_map`` and ``~/reset``; the answer is the path or the reason.

    Args:
        node: offers the services.
        output: saves.
        diagnostics: counts what could not be saved.
        reset: forgets the map and returns what was forgotten, in words.
    """

    def __init__(
        self,
        node: Node,
        output: MapOutput,
        diagnostics: Diagnostics,
        reset: Callable[[], str],
    ) -> None:
        self._node = node
        self._output = output
        self._diagnostics = diagnostics
        self._do_reset = reset
        self._save = node.create_service(Trigger, "~/save_map", self._on_save)
        self._reset = node.create_service(Trigger, "~/reset", self._on_reset)

    def save_and_log(self) -> tuple[bool, str]:
        """Save the map; return success and the absolute path, or the reason."""
        try:
            path = str(self._output.save())
        except Exception as error:  # Whatever it is, the caller gets an answer.
            self._diagnostics.problem("save", error)
            return False, str(error)
        self._node.get_logger().info(f"map saved: {path}")
        return True, path

    async def _on_save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        # Writing a large map takes seconds, in which images must go on. A second executor
        # thread is no way out: rclpy's MultiThreadedExecutor stalls for up to half a second.
        answer = Future(executor=self._node.executor)
        threading.Thread(
            target=lambda: answer.set_result(self.save_and_log()), name="save-map", daemon=True
        ).start()
        response.success, response.message = await answer
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, self._do_reset()
        self._node.get_logger().info(f"reset: {response.message}")
        return response
