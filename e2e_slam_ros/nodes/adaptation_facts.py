"""The refinement as seen from outside: what it did."""

from __future__ import annotations

from e2e_slam_ros.refine.depth_stage import DepthStage

RESET_DONE = "the network's weights are those it began with; scale and counts are forgotten"


def adaptation_facts(
    depth_stage: DepthStage, strategy: str, taken_over: int = 0, blend: float = 0.0
) -> dict[str, object]:
    """Return the values that diagnostics show of the refinement.

    Args:
        depth_stage: counts refinements.
        strategy: ``refine.strategy``.
        taken_over: number of times that weights learned in the background were taken over.
        blend: share of the weights learned in the background in those in use, 0 to 1.
    """
    facts: dict[str, object] = {"refine.strategy": strategy}
    if strategy == "auto":
        facts |= {"refine.learned": taken_over, "refine.learned_in_use": f"{blend:.2f}"}
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
