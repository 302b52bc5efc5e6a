"""The training of the learned correction as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from e2e_slam_ros.refine.learned_correction.network import CorrectionNet
from e2e_slam_ros.refine.learned_correction.weights_file import load_correction, save_correction
from e2e_slam_ros.training.correction.batch import CorrectionBatch
from e2e_slam_ros.training.correction.config import CorrectionTrainConfig
from e2e_slam_ros.training.correction.earlier_correction import earlier_correction
from e2e_slam_ros.training.correction.evidence_sampler import EvidenceSampler
from e2e_slam_ros.training.correction.evidence_set import (
    AnyWalk,
    EvidenceSet,
    RecordingConditions,
)
from e2e_slam_ros.training.correction.losses import (
    depth_loss,
    gradient_loss,
    likelihood_loss,
    log_error,
)
from e2e_slam_ros.training.correction.recorded_walk import recorded_walks
from e2e_slam_ros.training.correction.rendered_walk import RenderedWalk
from e2e_slam_ros.training.correction.validation import CorrectionValidation
from e2e_slam_ros.training.objectives.terms import LossTerms, weighted_terms
from e2e_slam_ros.training.rendering import render_missing
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.task import RunContext, Task, TaskModules


class CorrectionTask(Task[CorrectionBatch]):
    """Errors of depth that motion has corrected, learned from walks with known depth.

    >>> from e2e_slam_ros.training.distributed import Group
    >>> from e2e_slam_ros.training.precision import Precision
    >>> context = RunContext(Group(), torch.device("cpu"), Precision("cpu", None), print, False)
    >>> CorrectionTask(CorrectionTrainConfig(), context).name
    'correction_net'
    """

    config_type = CorrectionTrainConfig
    terms = ("depth", "gradient", "likelihood")
    best_by = "abs_rel"
    config: CorrectionTrainConfig

    def __init__(self, config: CorrectionTrainConfig, context: RunContext) -> None:
        self.config, self._context = config, context
        self._validation = CorrectionValidation({})

    @property
    def name(self) -> str:
        """The name of the network."""
        return "correction_net"

    def build_modules(self, fresh: bool) -> TaskModules:
        """Return the network.

        Raises:
            DepthError: initial weights cannot be used.
        """
        if self.config.initial_weights and fresh:
            network = load_correction(self.config.initial_weights).requires_grad_(True)
        else:
            network = CorrectionNet()
        # A third less time on a CPU.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return TaskModules(network.train(), network)

    def build_data(self) -> Mapping[str, EvidenceSampler]:
        """Return a sampler for each stage. Missing evidence is recorded.

        Raises:
            E2ESlamError: a recording without depth, weights or an archive that cannot be read.
        """
        config, walks = self.config, self.config.walks
        if config.correct_with:
            earlier_correction(config.correct_with)
        recorded, held_back = recorded_walks(config.recorded), recorded_walks(config.held_back)
        seeds = range(walks.first_seed, walks.first_seed + walks.rooms)
        sets = [(self._evidence([RenderedWalk(walks, seed) for seed in seeds]), 1.0)]
        if config.recorded.weight > 0:
            sets.append((self._evidence(recorded), config.recorded.weight))
        if self._context.group.is_first:
            first, rooms = config.validation.first_seed, config.validation.rooms
            others = [RenderedWalk(walks, seed) for seed in range(first, first + rooms)]
            kinds: dict[str, Sequence[AnyWalk]] = {"rendered": others, "recorded": held_back}
            self._validation = CorrectionValidation(
                {name: self._evidence(some) for name, some in kinds.items() if some}
            )
        return {
            stage.name: EvidenceSampler(
                sets,
                config.seed,
                stage.config.batch_size,
                (config.supervised.crop_height, config.supervised.crop_width),
                self._context.group.world,
            )
            for stage in stages_of(config)
        }

    def _evidence(self, walks: Sequence[AnyWalk]) -> EvidenceSet:
        config = self.config
        conditions = RecordingConditions.of(
            config.cache, config.correct_with, config.correct_share
        )
        evidence = EvidenceSet(walks, conditions)
        render_missing(evidence, "files of evidence", self._context, config.render_processes)
        return evidence

    def forward(self, trained: nn.Module, batch: CorrectionBatch, stage: str) -> LossTerms:
        """Return the loss of a batch."""
        with self._context.precision.autocast():
            change, stated = cast(CorrectionNet, trained)(
                batch.coarse.contiguous(memory_format=torch.channels_last),
                batch.fine.contiguous(memory_format=torch.channels_last),
            )
        error, known = log_error(change, batch)
        parts = {
            "depth": depth_loss(error, known),
            "gradient": gradient_loss(error, known),
            "likelihood": likelihood_loss(stated, error, known),
        }
        weights = {
            "depth": 1.0,
            "gradient": self.config.gradient_weight,
            "likelihood": self.config.likelihood_weight,
        }
        return weighted_terms(parts, weights, len(batch))

    def validate(self, result: nn.Module) -> Mapping[str, float]:
        """Return errors on walks that are not trained on, without and with the correction."""
        return self._validation.measure(cast(CorrectionNet, result))

    def export(self, result: nn.Module, path: Path, facts: Mapping[str, str]) -> None:
        """Write the network, convolutions in float16; `load_correction` reads it."""
        save_correction(cast(CorrectionNet, result), path, facts)
