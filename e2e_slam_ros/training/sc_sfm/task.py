"""SC-SfMLearner's training (Bian et al. 2019), after supervised pre-training, as a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import nn

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import load_weights, save_weights
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.data.batch_sampler import BatchSampler
from e2e_slam_ros.training.objectives.terms import LossTerms
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.sc_sfm.datasets import build_samplers
from e2e_slam_ros.training.sc_sfm.encoder_weights import (
    encoder_of,
    frozen_modules,
    load_encoder_weights,
)
from e2e_slam_ros.training.sc_sfm.model import SCSfMModel
from e2e_slam_ros.training.sc_sfm.pictures import SHOWN, sheet
from e2e_slam_ros.training.sc_sfm.pose_net import PoseNet
from e2e_slam_ros.training.sc_sfm.validation import Validation, validation_of
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.task import RunContext, Task, TaskModules

# Views of which so little overlaps teach nothing; so many batches of them are a mistake.
_LEAST_IN_VIEW, _BLIND_BATCHES = 0.05, 20


class SCSfMTask(Task[PairBatch]):
    """The depth network: supervised by labels, self-supervised by pairs of views.

    >>> from e2e_slam_ros.training.distributed import Group
    >>> from e2e_slam_ros.training.precision import Precision
    >>> device = torch.device("cpu")
    >>> context = RunContext(Group(), device, Precision("cpu", None), print, progress=False)
    >>> SCSfMTask(SCSfMConfig(), context).name
    'efficientnet_lite2'
    """

    config_type = SCSfMConfig
    terms = (
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
    best_by = "median_scaled.abs_rel"
    config: SCSfMConfig

    def __init__(self, config: SCSfMConfig, context: RunContext) -> None:
        self.config, self._context = config, context
        self._validation: Validation | None = None
        self._blind = 0

    @property
    def name(self) -> str:
        """The architecture of the depth network."""
        return self.config.architecture

    def build_modules(self, fresh: bool) -> TaskModules:
        """Return the depth network and, where a stage is self-supervised, the pose network.

        Raises:
            TrainingError: initial weights are missing or do not fit.
        """
        config = self.config
        if config.initial_weights and fresh:
            network = load_weights(config.initial_weights, config.architecture)
            network.requires_grad_(True)
        else:
            network = build_network(config.architecture)
            if fresh:
                load_encoder_weights(network, config.encoder_weights)
        paired = any(config.weights_of(s.name).self_supervised for s in stages_of(config))
        pose_net = PoseNet(config.pose_network) if paired else None
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model = SCSfMModel(network, pose_net, config.objective, self._context.precision)
        model.train()
        encoder = encoder_of(network)
        frozen = frozen_modules(network, config.frozen_stages)
        for module in frozen:
            module.requires_grad_(False)
        for module in [*frozen, encoder] if config.frozen_norms else frozen:
            module.eval()  # norms use their stored statistics
        return TaskModules(model, network, encoder)

    def build_data(self) -> Mapping[str, BatchSampler]:
        """Return a sampler for each stage; the first process also reads validation frames."""
        config, context = self.config, self._context
        samplers = build_samplers(config, context)
        if context.group.is_first:
            self._validation = validation_of(config, context)
        return samplers

    def forward(self, trained: nn.Module, batch: PairBatch, stage: str) -> LossTerms:
        """Return the loss of a batch with the weights of the stage."""
        terms: LossTerms = trained(batch, self.config.weights_of(stage))
        return terms

    def validate(self, result: nn.Module) -> dict[str, float]:
        """Return depth metrics on the validation frames, raw and with each median scaled."""
        if self._validation is None:
            return {}
        return self._validation.measure(cast(DepthNetwork, result))

    def export(self, result: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the depth network, convolutions in float16; `load_weights` reads it.

        Raises:
            DepthError: the folder cannot be written.
        """
        size = f"{self.config.width}x{self.config.height}"
        save_weights(cast(DepthNetwork, result), path, {**facts, "size": size}, half=True)

    def check(self, stage: str, terms: Mapping[str, float]) -> None:
        """Refuse to go on with pairs that do not see the same things.

        Raises:
            TrainingError: they did not in 20 batches in a row.
        """
        if "in_view" not in terms:
            return
        self._blind = self._blind + 1 if terms["in_view"] < _LEAST_IN_VIEW else 0
        if self._blind >= _BLIND_BATCHES:
            raise TrainingError.from_parts(
                f"views in stage {stage}",
                f"{_BLIND_BATCHES} batches in a row with less than {_LEAST_IN_VIEW:.0%} of the "
                "image in view of the other camera",
                "pairs of views that overlap",
                "check the poses, or take frames closer together (data.*.max_parallax)",
            )

    @torch.inference_mode()
    def pictures(self, result: nn.Module, batch: PairBatch) -> dict[str, torch.Tensor]:
        """Return one sheet: image, predicted depth and label of the first samples."""
        network, device = cast(DepthNetwork, result), self._context.device
        depth = depth_from_disparity(
            network(batch.image[:SHOWN].to(device)),
            batch.intrinsics[:SHOWN].to(device),
            focal_normalised=network.focal_normalised,
        )
        return {"image, depth, label": sheet(batch, depth.cpu())}
