"""Services that save, load and reset the map."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.map_output import MapOutput
from e2e_slam_ros.nodes.slow_answers import SlowAnswers


class MapServices:
    """Offers ``~/save_map``, ``~/load_map`` and ``~/reset``. An answer is the path or the reason.

    Args:
        node: offers the services.
        output: saves and loads the map.
        diagnostics: counts failures.
        begin_reset: clears the state of the executor thread; returns at once.
        clear: clears the map and returns a description of the cleared state; may wait for the map.
    """

    def __init__(
        self,
        node: Node,
        output: MapOutput,
        diagnostics: Diagnostics,
        begin_reset: Callable[[], None],
        clear: Callable[[], str],
    ) -> None:
        self._output = output
        self._answers = SlowAnswers(node, diagnostics)
        self._begin_reset = begin_reset
        self._clear = clear
        # A coroutine holds its callback group while it waits. In the node's own group, no
        # image would be received during that time.
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
        """Save the map. Return success, and the absolute path or the reason."""
        return self._answers.now("save", self._output.save)

    async def _on_save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = await self._answers.aside("save", self._output.save)
        return response

    async def _on_load(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = await self._answers.aside("load", self._output.load)
        return response

    async def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._begin_reset()
        response.success, response.message = await self._answers.aside("reset", self._clear)
        return response
