"""The networks that SC-SfMLearner trains, and their loss on a batch."""

from __future__ import annotations

import torch
from torch import nn

from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.geometry.se3 import inverse
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.objectives.config import LossWeights, ObjectiveConfig
from e2e_slam_ros.training.objectives.self_supervised import PredictedView, self_supervised_terms
from e2e_slam_ros.training.objectives.supervised import supervised_terms
from e2e_slam_ros.training.objectives.terms import LossTerms
from e2e_slam_ros.training.objectives.uncertainty import detach_uncertainty_head
from e2e_slam_ros.training.precision import Precision
from e2e_slam_ros.training.sc_sfm.pose_net import PoseNet


class SCSfMModel(nn.Module):
    """The depth network and the pose network: supervised by labels, else by the other view.

    Args:
        pose_net: for pairs without known motion; None where every pair's is known.

    >>> from e2e_slam_ros.depth.architectures import build_network
    >>> precision = Precision("cpu", None)
    >>> model = SCSfMModel(build_network("efficientnet_lite0"), None, ObjectiveConfig(), precision)
    >>> model.pose_net is None
    True
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
        if config.uncertainty_detached:
            detach_uncertainty_head(network)

    def forward(self, batch: PairBatch, weights: LossWeights) -> LossTerms:
        """Return the loss of a batch: 0, with a graph, where nothing can be learnt from it."""
        target = self._predict(batch.image, batch.intrinsics, batch.seen)
        terms = LossTerms(0.0 * target.disparity.sum(), {}, {})
        labelled = batch.has_depth.nonzero().flatten()
        if weights.supervised and len(labelled):
            seen, labels = target.samples(labelled), batch.depth[labelled]
            terms += supervised_terms(
                seen.depth, seen.log_uncertainty, labels, weights, self._config
            )
        paired = batch.has_source.nonzero().flatten()
        if weights.self_supervised and len(paired):
            intrinsics = batch.intrinsics[paired]
            here = target.samples(paired)
            there = self._predict(batch.source[paired], intrinsics, batch.source_seen[paired])
            T_there, T_back = self._motion(here, there, batch, paired)
            terms += self_supervised_terms(
                here, there, T_there, T_back, intrinsics, weights, self._config
            )
        return terms

    def _predict(
        self, image: torch.Tensor, intrinsics: torch.Tensor, seen: torch.Tensor
    ) -> PredictedView:
        with self._precision.autocast():
            prediction = self.network.predict(image.to(memory_format=torch.channels_last))
        disparity, log_u = prediction.disparity.float(), prediction.log_uncertainty
        depth = depth_from_disparity(
            disparity, intrinsics, focal_normalised=self.network.focal_normalised
        )
        log_u = None if log_u is None else log_u.float()
        return PredictedView(image, disparity, depth, log_u, seen)

    def _motion(
        self, target: PredictedView, source: PredictedView, batch: PairBatch, which: torch.Tensor
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
