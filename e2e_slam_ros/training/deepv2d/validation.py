"""How good the network is on rooms it does not learn from."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from e2e_slam_ros.evaluation.depth.metrics import depth_metrics, mean_depth_metrics
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.deepv2d.deepv2d import DeepV2D
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig
from e2e_slam_ros.training.deepv2d.clip_set import ClipSet
from e2e_slam_ros.training.deepv2d.config import ClipValidationConfig, DeepV2DTrainConfig

_NEAR_M, _FAR_M = 0.2, 10.0
_PER_ROOM = 4
_TURNS = 3


class ClipValidation:
    """A fixed set of clips; the keyframe is the newest frame, as it is for a robot.

    >>> config = DeepV2DTrainConfig().with_values({"validation.clips": 8})
    >>> len(ClipValidation(config).clips)
    8
    """

    def __init__(self, config: DeepV2DTrainConfig) -> None:
        self.clips = validation_clips(config.clips, config.validation)
        self._count = min(config.validation.clips, len(self.clips))

    def clip(self, index: int, views: int) -> ClipBatch:
        """Return a clip of the newest frames, the newest first."""
        newest = self.clips.config.frames - 1
        return self.clips.clip(index, [newest - i for i in range(views)])

    @torch.inference_mode()
    def measure(self, network: DeepV2D, device: torch.device) -> dict[str, float]:
        """Return mean errors with 2 and with all views.

        ``views_2.abs_rel``: with true poses held. ``alone_5.abs_rel`` and the pose errors: after
        three turns from a constant depth, with nothing given but the images.
        """
        figures: dict[str, float] = {}
        for views in sorted({2, self.clips.config.frames}):
            held, alone, pose = [], [], []
            for index in range(self._count):
                clip = self.clip(index, views).to(device)
                truth = clip.depth[:, 0]
                found = network(
                    clip.image, clip.intrinsics, 1, T_camera_map=clip.T_camera_map, held=True
                )
                held.append(depth_metrics(found.depth, truth, _NEAR_M, _FAR_M))
                found = network(clip.image, clip.intrinsics, _TURNS)
                alone.append(depth_metrics(found.depth, truth, _NEAR_M, _FAR_M))
                pose.append(pose_errors(found.T_camera_map, clip.T_camera_map))
            for name, metrics in (("views", held), ("alone", alone)):
                mean = mean_depth_metrics(metrics)
                if mean is not None:
                    figures[f"{name}_{views}.abs_rel"] = mean.abs_rel
                    figures[f"{name}_{views}.delta_1"] = mean.delta_1
            turn, shift = torch.stack(pose).mean(0).tolist()
            figures[f"alone_{views}.rotation_deg"] = turn
            figures[f"alone_{views}.translation_cm"] = shift
        return figures


def validation_clips(trained: ClipConfig, settings: ClipValidationConfig) -> ClipSet:
    """Return clips like those that are trained on, of the rooms that measure progress.

    >>> len(validation_clips(ClipConfig(), ClipValidationConfig(clips=6)))
    8
    """
    rooms = max(1, math.ceil(settings.clips / _PER_ROOM))
    return ClipSet(
        replace(trained, rooms=rooms, clips_per_room=_PER_ROOM, first_seed=settings.first_seed)
    )


def pose_errors(T_camera_map: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return (2,): mean rotation error in degrees and position error in centimetres.

    Args:
        T_camera_map, truth: (B, N, 4, 4), the keyframe first; the others relative to it count.

    >>> pose_errors(torch.eye(4).expand(1, 2, 4, 4), torch.eye(4).expand(1, 2, 4, 4))
    tensor([0., 0.])
    """
    found, real = (
        (poses[:, 1:] @ se3.inverse(poses[:, :1])).double() for poses in (T_camera_map, truth)
    )
    off = se3.log(se3.inverse(real) @ found)
    turn = torch.rad2deg(off[..., 3:].norm(dim=-1)).mean()
    shift = 100.0 * (se3.inverse(real)[..., :3, 3] - se3.inverse(found)[..., :3, 3]).norm(dim=-1)
    return torch.stack([turn, shift.mean()]).float()
