"""Services that save, load and reset: ``std_srvs/Trigger``, and types of other packages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from e2e_slam_ros.nodes.diagnostics import Diagnostics


class TriggerServices:
    """Offers services whose answer is success with a sentence, or failure with the reason.

    Args:
        node: offers the services; its executor wakes the coroutine that waits for an answer.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics) -> None:
        self._node = node
        self._diagnostics = diagnostics
        # A coroutine holds its callback group while it waits. In the node's own group, no
        # image would be received during that time.
        self._group = ReentrantCallbackGroup()
        self._services: list[object] = []
        self._unanswered = 0

    @property
    def busy(self) -> bool:
        """Whether the answer of a slow service is still to come (executor thread)."""
        return self._unanswered > 0

    def quick(self, name: str, work: Callable[[], str]) -> None:
        """Offer ``~/name``, which takes microseconds and cannot fail."""

        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.success, response.message = True, work()
            return response

        self._services.append(self._node.create_service(Trigger, f"~/{name}", answer))

    def slow(
        self,
        name: str,
        kind: str,
        work: Callable[[], object],
        begin: Callable[[], None] | None = None,
    ) -> None:
        """Offer ``~/name``, whose work takes long and is done in a thread of its own.

        Files of a large map take seconds. Mapping a keyframe, which holds the map, may take
        seconds too. Images must be received meanwhile. A second executor thread is no solution,
        because rclpy's MultiThreadedExecutor stalls for up to half a second.

        Args:
            kind: name of the work in the log and in diagnostics.
            work: returns the sentence of the answer; raises where it fails.
            begin: called before in the executor thread; returns at once.
        """

        async def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            self._unanswered += 1
            try:
                if begin is not None:
                    begin()
                response.success, response.message = await self._aside(kind, work)
            finally:
                self._unanswered -= 1
            return response

        self._services.append(
            self._node.create_service(Trigger, f"~/{name}", answer, callback_group=self._group)
        )

    def asked(
        self,
        service_type: Any,
        name: str,
        kind: str,
        work: Callable[[Any], object],
        fill: Callable[[Any, bool], None],
    ) -> None:
        """Offer ``~/name`` of another type, whose work takes long.

        Args:
            service_type: class of the service.
            kind: name of the work in the log and in diagnostics.
            work: is given the request; returns a sentence for the log, raises where it fails.
            fill: writes into a response whether it was done.
        """

        async def answer(request: Any, response: Any) -> Any:
            self._unanswered += 1
            try:
                done, _ = await self._aside(kind, lambda: work(request))
                fill(response, done)
            finally:
                self._unanswered -= 1
            return response

        self._services.append(
            self._node.create_service(
                service_type, f"~/{name}", answer, callback_group=self._group
            )
        )

    def now(self, kind: str, work: Callable[[], object]) -> tuple[bool, str]:
        """Do the work in this thread; return success, and the sentence or the reason."""
        try:
            done = str(work())
        except Exception as error:  # Whatever it is, the caller gets an answer.
            self._diagnostics.problem(kind, error)
            return False, str(error)
        self._node.get_logger().info(f"{kind}: {done}")
        return True, done

    def _aside(self, kind: str, work: Callable[[], object]) -> Future:
        """Return a future of the answer."""
        future = Future(executor=self._node.executor)
        threading.Thread(
            target=lambda: future.set_result(self.now(kind, work)), name=f"{kind}-map", daemon=True
        ).start()
        return future
