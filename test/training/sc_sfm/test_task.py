"""SC-SfM in the loop: what stays frozen, reduced precision, views that do not overlap."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from training.conftest import Walls, wall_batch
from training.running import Run


class Apart(Walls):
    """Pairs whose cameras see nothing in common."""

    def batch(self, step: int, rank: int) -> PairBatch:
        return wall_batch(self.count, step, shift=50.0)


def test_views_without_overlap_are_refused(tiny: SCSfMConfig, out: Path) -> None:
    config = tiny.with_values(
        {"pretraining.steps": 0, "self_supervision.steps": 30, "self_supervision.batch_size": 2}
    )
    with pytest.raises(TrainingError, match="in view of the other camera"):
        Run(config, Apart(), out).trainer.run()


def test_frozen_stages_keep_weights_and_statistics(tiny: SCSfMConfig, out: Path) -> None:
    config = tiny.with_values({"frozen_stages": 2})
    run = Run(config, Walls(), out)
    before = {n: v.clone() for n, v in run.learner.tensors().items()}
    run.trainer.run()
    after = run.learner.tensors()
    for name, value in before.items():
        fixed = name.startswith(("objective.network.encoder.stem", "objective.network.encoder.st"))
        fixed = fixed and not any(f"encoder.stages.{i}." in name for i in range(2, 7))
        if fixed and "num_batches" not in name:
            assert torch.equal(value, after[name]), name
    moved = "objective.network.encoder.stages.2.0.expand.norm.running_mean"
    assert not torch.equal(before[moved], after[moved])


def test_frozen_norms_keep_their_statistics_and_learn_their_weights(
    tiny: SCSfMConfig, out: Path
) -> None:
    config = tiny.with_values({"frozen_norms": True})
    run = Run(config, Walls(), out)
    before = {n: v.clone() for n, v in run.learner.tensors().items()}
    run.trainer.run()
    norm = "objective.network.encoder.stages.2.0.expand.norm."
    after = run.learner.tensors()
    assert torch.equal(before[norm + "running_mean"], after[norm + "running_mean"])
    assert not torch.equal(before[norm + "weight"], after[norm + "weight"])


@pytest.mark.parametrize(
    ("amp", "device"), [("bf16", "cpu"), pytest.param("fp16", "cuda", marks=pytest.mark.gpu)]
)
def test_reduced_precision_learns_and_keeps_its_weights_whole(
    tiny: SCSfMConfig, out: Path, amp: str, device: str
) -> None:
    config = tiny.with_values({"amp": amp, "self_supervision.steps": 2})
    run = Run(config, Walls(), out, device=device)
    fresh = {n: v.clone() for n, v in run.learner.tensors().items()}
    outcome = run.trainer.run()
    assert outcome.skipped < outcome.steps  # fp16 looks for its scale
    name = "objective.network.decoder.merge.0.conv.weight"
    weights = run.learner.tensors()[name]
    assert weights.dtype == torch.float32 and not torch.equal(weights, fresh[name])
