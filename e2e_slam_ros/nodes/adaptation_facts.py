"""The refinement as seen from outside: what it did."""

from __future__ import annotations

from e2e_slam_ros.refine.depth_stage import DepthStage

RESET_DONE = "the network's weights are those it began with; scale and counts are forgotten"


def adaptation_facts(depth_stage: DepthStage, strategy: str) -> dict[str, object]:
    """Return what diagnostics show of the refinement."""
    facts: dict[str, object] = {"refine.strategy": strategy}
    counts, scale = depth_stage.counts, depth_stage.scale
    if scale is not None:
        facts["scale"] = f"{scale.factor:.4f}"
    if counts.attempts == 0:
        return facts
    facts |= {"refine.refined": counts.refined, "refine.rolled_back": counts.rolled_back}
    facts |= {f"refine.refused.{why}": count for why, count in sorted(counts.refused.items())}
    if counts.loss_before is not None and counts.loss_after is not None:
        facts |= {
            "refine.loss_first": f"{counts.loss_before:.5f}",
            "refine.loss": f"{counts.loss_after:.5f}",
        }
    return facts
