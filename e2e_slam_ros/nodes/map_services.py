"""The services that save, load and reset a map."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.map_output import MapOutput
from e2e_slam_ros.nodes.slow_answers import SlowAnswers


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
        self._output = output
        self._answers = SlowAnswers(node, diagnostics)
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
