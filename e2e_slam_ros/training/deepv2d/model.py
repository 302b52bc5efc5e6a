"""DeepV2D with its losses: what a training step differentiates."""

from __future__ import annotations

import torch
from torch import nn

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.deepv2d.deepv2d import CONSTANT_M, DeepV2D, quarter_depth
from e2e_slam_ros.multiview.deepv2d.depth_module import quarter_intrinsics
from e2e_slam_ros.multiview.deepv2d.gauss_newton import gauss_newton_step, keyframe_pairs
from e2e_slam_ros.multiview.deepv2d.objective import depth_loss, flow_loss, motion_loss
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.deepv2d.config import DeepV2DLossConfig
from e2e_slam_ros.training.objectives.terms import LossTerms, weighted_terms
from e2e_slam_ros.training.precision import Precision


class DeepV2DModel(nn.Module):
    """The network and the losses of its stages.

    >>> from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
    >>> model = DeepV2DModel(DeepV2D(LIGHT), DeepV2DLossConfig(), Precision("cpu", None))
    >>> image, one = torch.rand(1, 2, 3, 32, 32), torch.full((1, 2, 1, 32, 32), 2.0)
    >>> k = torch.tensor([[[30.0, 0.0, 15.5], [0.0, 30.0, 15.5], [0.0, 0.0, 1.0]]])
    >>> poses = torch.eye(4).expand(1, 2, 4, 4)
    >>> clip = ClipBatch(image, one, k, poses, one < 0, torch.zeros(1, 2, 6))
    >>> sorted(model(clip, "depth").parts)
    ['depth', 'depth_error']
    """

    def __init__(self, network: DeepV2D, config: DeepV2DLossConfig, precision: Precision) -> None:
        super().__init__()
        self.network = network
        self._config, self._precision = config, precision

    def forward(self, clip: ClipBatch, stage: str) -> LossTerms:
        """Return the loss of a stage.

        ``motion``: the paper's stage I, motion with true depth and disturbed poses. ``depth``: the
        depth module with true poses, for poses that are held. ``joint``: the paper's stage II.
        """
        if stage == "motion":
            return self._motion(clip)
        if stage == "depth":
            return self._depth(clip, clip.T_camera_map)
        return self._joint(clip)

    def _depth(self, clip: ClipBatch, poses: torch.Tensor) -> LossTerms:
        config, sizes = self._config, self.network.architecture
        with self._precision.autocast():
            found = self.network.depth_module(clip.image, poses, clip.intrinsics)
        truth = clip.depth[:, 0]
        loss = depth_loss(
            found.depths, truth, sizes.near_m, sizes.far_m, config.smoothness, config.logarithmic
        )
        valid = (truth > sizes.near_m) & (truth < sizes.far_m)
        relative = ((found.depth.detach() - truth).abs() / truth)[valid]
        parts = {"depth": loss, "depth_error": relative.mean()}
        return weighted_terms(parts, {"depth": 1.0}, len(clip))

    def _motion(self, clip: ClipBatch) -> LossTerms:
        depth = quarter_depth(clip.depth[:, 0], self._small(clip))
        terms, _ = self._moved(clip, depth, self._disturbed(clip))
        return terms + self._first_pose_loss(clip, depth)

    def _joint(self, clip: ClipBatch) -> LossTerms:
        """Two turns, the first one without gradients: its depth is the second one's input."""
        size = self._small(clip)
        constant = torch.full_like(clip.depth[:, 0], CONSTANT_M)
        with torch.no_grad(), self._precision.autocast():
            first = self.network(clip.image, clip.intrinsics, iterations=1, depth=constant)
        depth = quarter_depth(first.depth.float(), size)
        motion, poses = self._moved(clip, depth, first.T_camera_map.float())
        truth = quarter_depth(clip.depth[:, 0], size)
        motion = motion + self._first_pose_loss(clip, truth)
        # The depth module may move the poses, as the paper's end-to-end training does.
        return motion + self._depth(clip, poses)

    def _moved(
        self, clip: ClipBatch, depth: torch.Tensor, poses: torch.Tensor
    ) -> tuple[LossTerms, torch.Tensor]:
        """Return the mean losses of some steps, and the poses after them."""
        module, k = self.network.motion_module, quarter_intrinsics(clip.intrinsics)
        truth = quarter_depth(clip.depth[:, 0], self._small(clip))
        pairs = keyframe_pairs(clip.image.shape[1])
        with self._precision.autocast():
            features = module.features(clip.image)
        motion, flow = [], []
        for _ in range(self._config.steps):
            start = poses.detach()
            with self._precision.autocast():
                seen = module.observe(features, depth, start, k, pairs)
            poses = gauss_newton_step(seen, depth, start, k).T_camera_map
            motion.append(motion_loss(poses, clip.T_camera_map, truth, k))
            flow.append(flow_loss(seen.residual, start, clip.T_camera_map, truth, k))
        parts = {"motion": torch.stack(motion).mean(), "flow": torch.stack(flow).mean()}
        weights = {"motion": self._config.motion, "flow": self._config.flow}
        return weighted_terms(parts, weights, len(clip)), poses

    def _first_pose_loss(self, clip: ClipBatch, depth: torch.Tensor) -> LossTerms:
        if self._config.first_pose == 0:
            return weighted_terms({"none": depth.new_zeros(())}, {"none": 0.0}, len(clip))
        with self._precision.autocast():
            poses = self.network.initial_pose(clip.image)
        k = quarter_intrinsics(clip.intrinsics)
        loss = motion_loss(poses, clip.T_camera_map, depth, k)
        return weighted_terms(
            {"first_pose": loss}, {"first_pose": self._config.first_pose}, len(clip)
        )

    def _disturbed(self, clip: ClipBatch) -> torch.Tensor:
        """Return the clip's poses, all but the keyframe's moved by random twists.

        The keyframe's own noise says by how much: half to three times the setting, mostly.
        """
        poses = clip.T_camera_map
        scale = torch.tensor([self._config.shift_m] * 3 + [self._config.turn_deg] * 3)
        scale[3:] = torch.deg2rad(scale[3:])
        size = 0.5 + clip.noise[:, :1, :1].abs()
        twist = clip.noise * size * scale.to(poses)
        twist[:, 0] = 0.0
        return se3.exp(twist) @ poses

    def _small(self, clip: ClipBatch) -> torch.Size:
        height, width = clip.image.shape[-2:]
        return torch.Size([height // 4, width // 4])
