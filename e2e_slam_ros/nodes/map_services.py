"""The services that save, load and reset a map."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.map_output import MapOutput


class MapServices:
    """``~/save_map``, ``~/load_map`` and ``~/reset``; the answer is the path or the reason.

    Args:
        node: offers the services.
        output: saves and loads.
        diagnostics: counts what could not be saved or loaded.
        begin_reset: forgets what the executor thread owns; takes no time.
        clear: forgets the map and returns what was forgotten, in words; may wait for it.
    """

    def __init__(
        self,
        node: Node,
        output: MapOutput,
        diagnostics: Diagnostics,
        begin_reset: Callable[[], None],
        clear: Callable[[], str],
    ) -> None:
        self._node = node
        self._output = output
        self._diagnostics = diagnostics
        self._begin_reset = begin_reset
        self._clear = clear
        # While an answer is awaited its callback group is taken: in the node's own group no
        # image would be received until then.
        group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(Trigger, f"~/{name}", callback, callback_group=group)
            for name, callback in (
                ("save_map", self._on_save),
                ("load_map", self._on_load),
                ("reset", self._on_reset),
            )
        ]

    def save_and_log(self) -> tuple[bool, str]:
        """Save the map; return success and the absolute path, or the reason."""
        return self._answer("save", self._output.save)

    def _answer(self, kind: str, work: Callable[[], Path | str]) -> tuple[bool, str]:
        try:
            done = str(work())
        except Exception as error:  # Whatever it is, the caller gets an answer.
            self._diagnostics.problem(kind, error)
            return False, str(error)
        self._node.get_logger().info(f"map {kind}: {done}")
        return True, done

    async def _on_save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = await self._aside("save", self._output.save)
        return response

    async def _on_load(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = await self._aside("load", self._output.load)
        return response

    def _aside(self, kind: str, work: Callable[[], Path | str]) -> Future:
        """Do slow work in a thread of its own and return what it will answer.

        Files of a large map take seconds, and so may the mapping of a keyframe that holds the
        map; images must go on meanwhile. A second executor thread is no way out: rclpy's
        MultiThreadedExecutor stalls for up to half a second.
        """
        answer = Future(executor=self._node.executor)
        threading.Thread(
            target=lambda: answer.set_result(self._answer(kind, work)),
            name=f"{kind}-map",
            daemon=True,
        ).start()
        return answer

    async def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._begin_reset()
        response.success, response.message = await self._aside("reset", self._clear)
        return response
