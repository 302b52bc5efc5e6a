"""The refinement as seen from outside: what it did, and forgetting what it learned."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.slow_answers import SlowAnswers
from e2e_slam_ros.refine.depth_stage import DepthStage

RESET_DONE = "the network's weights are those it began with; scale and counts are forgotten"


class AdaptationService:
    """``~/reset_adaptation``.

    Args:
        node: offers the service.
        diagnostics: counts what failed.
        reset: forgets what was learned; may wait for a keyframe that is being worked on.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics, reset: Callable[[], str]) -> None:
        self._answers = SlowAnswers(node, diagnostics)
        self._reset = reset
        # As for the map's services: images must be received while an answer is awaited.
        self._service = node.create_service(
            Trigger, "~/reset_adaptation", self._on_reset, callback_group=ReentrantCallbackGroup()
        )

    async def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        answer = self._answers.aside("reset_adaptation", self._reset)
        response.success, response.message = await answer
        return response


def adaptation_facts(depth_stage: DepthStage, strategy: str) -> dict[str, object]:
    """Return what diagnostics show of the refinement."""
    facts: dict[str, object] = {"refine.strategy": strategy}
    tally, scale = depth_stage.tally, depth_stage.scale
    if scale is not None:
        facts["scale"] = f"{scale.factor:.4f}"
    if tally.attempts == 0:
        return facts
    facts |= {"refine.refined": tally.refined, "refine.rolled_back": tally.rolled_back}
    facts |= {f"refine.refused.{why}": count for why, count in sorted(tally.refused.items())}
    if tally.first is not None and tally.last is not None:
        facts |= {"refine.loss_first": f"{tally.first:.5f}", "refine.loss": f"{tally.last:.5f}"}
    return facts
