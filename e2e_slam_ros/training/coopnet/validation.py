"""How good CoopNet's depth and motion are on rooms they do not learn from."""

from __future__ import annotations

import torch

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics, mean_depth_metrics
from e2e_slam_ros.evaluation.trajectory.motion_errors import motion_errors
from e2e_slam_ros.training.coopnet.config import CoopNetConfig
from e2e_slam_ros.training.coopnet.model import CoopNetModel, still_flow
from e2e_slam_ros.training.deepv2d.validation import validation_clips

_NEAR_M, _FAR_M = 0.2, 10.0


class CoopValidation:
    """A fixed set of clips with moving boxes.

    >>> len(CoopValidation(CoopNetConfig().with_values({"validation.clips": 8})).clips)
    8
    """

    def __init__(self, config: CoopNetConfig) -> None:
        self.clips = validation_clips(config.clips, config.validation)
        self._count = min(config.validation.clips, len(self.clips))

    @torch.inference_mode()
    def measure(self, model: CoopNetModel, device: torch.device) -> dict[str, float]:
        """Return figures: abs_rel of all, still and moving pixels, each median scaled over all.

        ``rotation_deg`` and ``direction_deg`` are the mean errors of the motion between the views,
        ``flow_px`` that of the flow of still pixels that both see.
        """
        figures: dict[str, list[DepthMetrics | None]] = {"all": [], "still": [], "moving": []}
        turns, directions, flows = [], [], []
        for index in range(self._count):
            clip = self.clips.clip(index, [1, 0]).to(device)
            truth, moving = clip.depth[:, 0], clip.moving[:, 0]
            depth, flow, motion = model.predict(clip)
            known = (truth > _NEAR_M) & (truth < _FAR_M)
            depth = depth * (truth[known].median() / depth[known].median())
            for name, mask in (("all", known), ("still", ~moving), ("moving", moving)):
                metrics = depth_metrics(depth, truth * mask, _NEAR_M, _FAR_M)
                figures[name].append(metrics)
            # The map is the target, frame 0: the source's pose is the motion itself.
            turn, direction = motion_errors(motion[0], clip.T_camera_map[0, 1])
            turns.append(turn)
            directions.append(direction)
            true_flow, seen = still_flow(clip)
            wrong = (flow - true_flow).norm(dim=1, keepdim=True)[seen]
            flows += [float(wrong.mean())] if bool(seen.any()) else []
        found = {
            f"{name}.abs_rel": mean.abs_rel
            for name, metrics in figures.items()
            if (mean := mean_depth_metrics(metrics)) is not None
        }
        lists = {"rotation_deg": turns, "direction_deg": directions, "flow_px": flows}
        return found | {name: sum(some) / max(len(some), 1) for name, some in lists.items()}
