"""The whole loss of a batch: supervised where there are labels, self-supervised where pairs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.geometry.se3 import inverse
from e2e_slam_ros.training.batch import TrainingBatch
from e2e_slam_ros.training.pose_net import PoseNet
from e2e_slam_ros.training.self_supervised import View, self_supervised_terms
from e2e_slam_ros.training.stage_config import LossWeights, ObjectiveConfig
from e2e_slam_ros.training.supervised import Terms, supervised_terms

# Every name that a batch can report, in the order of logs and of what processes exchange.
TERM_NAMES = (
    "scale_invariant",
    "gradient",
    "metric",
    "uncertainty",
    "photometric",
    "consistency",
    "smoothness",
    "photometric_uncertainty",
    "in_view",
)


@dataclass(frozen=True, eq=False)
class Precision:
    """Which numbers the networks calculate in; losses are always float32.

    Attributes:
        device_type: "cpu" or "cuda".
        dtype: bfloat16 or float16 under autocast; None is float32.
    """

    device_type: str
    dtype: torch.dtype | None

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which networks run."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device_type, dtype=self.dtype)


class Objective(nn.Module):
    """The networks that are trained, and their loss on a batch: one module, one forward.

    Args:
        network: the depth network.
        pose_net: for pairs without known motion; None where every pair's is known.
        config: constants of the losses.
        precision: of the networks.
    """

    def __init__(
        self,
        network: DepthNetwork,
        pose_net: PoseNet | None,
        config: ObjectiveConfig,
        precision: Precision,
    ) -> None:
        super().__init__()
        self.network = network
        self.pose_net = pose_net
        self._config = config
        self._precision = precision
        head = getattr(network, "log_uncertainty", None)
        if config.uncertainty_detached and isinstance(head, nn.Module):
            head.register_forward_pre_hook(_detach_input)

    def forward(
        self, batch: TrainingBatch, weights: LossWeights
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss, its parts and how many samples each part speaks for.

        Returns:
            loss: scalar, to be differentiated; 0 (with a graph) where nothing can be learnt.
            parts: (len(TERM_NAMES),), detached; 0 where a term was not calculated.
            counts: (len(TERM_NAMES),), samples behind each part.
        """
        target = self._look(batch.image, batch.intrinsics, batch.seen)
        loss = 0.0 * target.disparity.sum()
        parts: dict[str, tuple[torch.Tensor, int]] = {}
        labelled = _chosen(batch.has_depth) if weights.supervised else None
        if labelled is not None:
            terms = self._supervised(target, batch.depth, labelled, weights)
            loss = loss + terms.total
            parts.update({name: (value, len(labelled)) for name, value in terms.parts.items()})
        paired = _chosen(batch.has_source) if weights.self_supervised else None
        if paired is not None:
            terms = self._self_supervised(target, batch, paired, weights)
            loss = loss + terms.total
            parts.update({name: (value, len(paired)) for name, value in terms.parts.items()})
        zero = loss.detach() * 0.0
        values = [parts.get(name, (zero, 0)) for name in TERM_NAMES]
        counts = torch.tensor([float(count) for _, count in values], device=loss.device)
        return loss, torch.stack([value for value, _ in values]), counts

    def depth(self, image: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
        """Return the predicted depth (B, 1, H, W) of images (B, 3, H, W) in [0, 1]."""
        everywhere = torch.ones_like(image[:, :1], dtype=torch.bool)
        return self._look(image, intrinsics, everywhere).depth

    def _look(self, image: torch.Tensor, intrinsics: torch.Tensor, seen: torch.Tensor) -> View:
        with self._precision.autocast():
            prediction = self.network.predict(image.to(memory_format=torch.channels_last))
        disparity, log_u = prediction.disparity.float(), prediction.log_uncertainty
        depth = depth_from_disparity(
            disparity, intrinsics, focal_normalised=self.network.focal_normalised
        )
        return View(image, disparity, depth, None if log_u is None else log_u.float(), seen)

    def _supervised(
        self, view: View, labels: torch.Tensor, which: torch.Tensor, weights: LossWeights
    ) -> Terms:
        log_u = view.log_uncertainty
        return supervised_terms(
            view.depth[which],
            None if log_u is None else log_u[which],
            labels[which],
            weights,
            self._config,
        )

    def _self_supervised(
        self, target: View, batch: TrainingBatch, which: torch.Tensor, weights: LossWeights
    ) -> Terms:
        intrinsics = batch.intrinsics[which]
        source = self._look(batch.source[which], intrinsics, batch.source_seen[which])
        here = _part(target, which)
        T_there, T_back = self._motion(here, source, batch, which)
        return self_supervised_terms(
            here, source, T_there, T_back, intrinsics, weights, self._config
        )

    def _motion(
        self, target: View, source: View, batch: TrainingBatch, which: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return T_source_target and T_target_source: known ones, else predicted ones."""
        known, has_pose = batch.T_source_target[which], batch.has_pose[which]
        back = inverse(known)
        if self.pose_net is None or bool(has_pose.all()):
            return known, back
        with self._precision.autocast():
            guess = self.pose_net(target.image, source.image)
            guess_back = self.pose_net(source.image, target.image)
        has = has_pose[:, None, None]
        return torch.where(has, known, guess), torch.where(has, back, guess_back)


def _detach_input(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(value.detach() for value in inputs)


def _chosen(mask: torch.Tensor) -> torch.Tensor | None:
    """Return the indices where a (B,) mask is true, or None when there are none."""
    indices = mask.nonzero().flatten()
    return indices if len(indices) else None


def _part(view: View, which: torch.Tensor) -> View:
    log_u = view.log_uncertainty
    return View(
        view.image[which],
        view.disparity[which],
        view.depth[which],
        None if log_u is None else log_u[which],
        view.seen[which],
    )
