"""The refinement as seen from outside: what it did."""

from __future__ import annotations

from e2e_slam_ros.refine.depth_stage import DepthStage

RESET_DONE = "the network's weights are those it began with; scale and counts are forgotten"


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
