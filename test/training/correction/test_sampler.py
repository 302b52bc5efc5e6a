"""Batches of evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.correction.evidence import write_evidence
from e2e_slam_ros.training.correction.evidence_sampler import EvidenceSampler
from e2e_slam_ros.training.correction.evidence_set import EvidenceSet, RecordingConditions
from e2e_slam_ros.training.correction.rendered_walk import RenderedWalk


def sampler(evidence: EvidenceSet, seed: int = 0, height: int = 32) -> EvidenceSampler:
    return EvidenceSampler([(evidence, 1.0)], seed, 3, (height, 40))


def test_a_batch_depends_on_seed_and_step_alone(recorded: EvidenceSet) -> None:
    first, again = (sampler(recorded).batch(7, 0) for _ in range(2))
    assert torch.equal(first.coarse, again.coarse) and torch.equal(first.truth, again.truth)
    for other in (sampler(recorded).batch(8, 0), sampler(recorded, seed=1).batch(7, 0)):
        assert not torch.equal(first.coarse, other.coarse)
    two = EvidenceSampler([(recorded, 1.0)], 0, 3, (32, 40), world=2)
    assert not torch.equal(two.batch(7, 0).coarse, two.batch(7, 1).coarse)


def test_parts_fit_together(recorded: EvidenceSet) -> None:
    for step in range(6):
        batch = sampler(recorded).batch(step, 0)
        assert len(batch) == 3 and batch.coarse.shape == (3, 26, 32, 40)
        assert batch.fine.shape == (3, 13, 64, 80)
        assert batch.depth.shape == batch.truth.shape == (3, 1, 64, 80)
        # Both hold the picture; an offset or a mirrored half would be far off.
        small = torch.nn.functional.avg_pool2d(batch.fine[:, :3], 2)
        apart = (small - batch.coarse[:, 23:26]).abs().mean()
        wrong = (small.flip(-1) - batch.coarse[:, 23:26]).abs().mean()
        assert apart < 0.05 and apart < 0.5 * wrong


def test_sweeps_smaller_than_a_part_are_used_whole(recorded: EvidenceSet) -> None:
    batch = sampler(recorded, height=96).batch(0, 0)
    assert batch.coarse.shape[-2] in {recorded.sizes(w).height // 8 * 8 for w in range(2)}


def test_a_set_without_evidence_is_refused(
    recorded: EvidenceSet, walks: list[RenderedWalk], tmp_path: Path
) -> None:
    conditions = RecordingConditions(tmp_path)
    write_evidence(conditions.path(walks[0]), [])
    nothing = EvidenceSet(walks[:1], conditions)
    with pytest.raises(TrainingError, match="no evidence.*camera that moves"):
        EvidenceSampler([(recorded, 1.0), (nothing, 1.0)], 0, 1, (32, 40))
    assert len(EvidenceSampler([(recorded, 1.0), (nothing, 0.0)], 0, 1, (32, 40)).batch(0, 0)) == 1
