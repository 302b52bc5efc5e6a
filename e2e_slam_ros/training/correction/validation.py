"""How good the learned correction is on walks that it does not learn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from e2e_slam_ros.refine.learned_correction.features import CorrectionFeatures
from e2e_slam_ros.refine.learned_correction.learned_correction import LearnedCorrection
from e2e_slam_ros.refine.learned_correction.network import CorrectionNet
from e2e_slam_ros.training.correction.batch import CorrectionBatch
from e2e_slam_ros.training.correction.evidence_sampler import as_batch
from e2e_slam_ros.training.correction.evidence_set import EvidenceSet
from e2e_slam_ros.training.correction.losses import FARTHEST_M, NEAREST_M

_CLOSE = 0.05


@dataclass(frozen=True)
class CorrectionErrors:
    """Errors of one keyframe, or their means.

    Attributes:
        before, after: mean absolute relative error of depth without and with the correction.
        close_before, close_after: share of the pixels within 5 % of the truth.
        within_sigma: share of the pixels within one stated standard deviation.

    >>> CorrectionErrors(0.08, 0.06, 0.5, 0.6, 0.68).after
    0.06
    """

    before: float
    after: float
    close_before: float
    close_after: float
    within_sigma: float

    def figures(self) -> dict[str, float]:
        """Return them by the names that logs have."""
        return {
            "before.abs_rel": self.before,
            "abs_rel": self.after,
            "before.within_5": self.close_before,
            "within_5": self.close_after,
            "within_sigma": self.within_sigma,
        }


class CorrectionValidation:
    """Sets of evidence by their names.

    >>> CorrectionValidation({}).measure(CorrectionNet().eval())
    {}
    """

    def __init__(self, sets: Mapping[str, EvidenceSet]) -> None:
        self._sets = sets

    def measure(self, network: CorrectionNet) -> dict[str, float]:
        """Return mean figures by name.

        "abs_rel", "within_5" and so on over all keyframes; "rendered.abs_rel" over those of one
        set. "before" is without the correction.
        """
        every: list[CorrectionErrors] = []
        figures: dict[str, float] = {}
        for name, evidence in self._sets.items():
            own = [
                errors
                for batch in _keyframes(evidence)
                if (errors := correction_errors(network, batch)) is not None
            ]
            if own:
                means = _mean(own).figures()
                figures |= {f"{name}.{key}": value for key, value in means.items()}
            every += own
        return (_mean(every).figures() | figures) if every else {}


def correction_errors(network: CorrectionNet, batch: CorrectionBatch) -> CorrectionErrors | None:
    """Return the errors of one keyframe; None where no pixel has true depth.

    Args:
        batch: of one keyframe.
    """
    batch = batch.to(next(network.parameters()).device)
    features = CorrectionFeatures(batch.coarse, batch.fine)
    answer = LearnedCorrection(network)(features, batch.depth)
    assert answer.sigma is not None
    known = (batch.truth > NEAREST_M) & (batch.truth < FARTHEST_M)
    if not bool(known.any()):
        return None
    truth, sigma = batch.truth[known], answer.sigma[known]
    before, after = ((depth[known] - truth).abs() / truth for depth in (batch.depth, answer.depth))
    log_error = (answer.depth[known] / truth).log().abs()
    means = (
        before,
        after,
        (before < _CLOSE).float(),
        (after < _CLOSE).float(),
        (log_error < sigma).float(),
    )
    return CorrectionErrors(*(float(values.mean()) for values in means))


def _keyframes(evidence: EvidenceSet) -> Iterable[CorrectionBatch]:
    for walk in range(len(evidence)):
        for index in range(evidence.sizes(walk).count):
            yield as_batch(evidence.evidence(walk, index))


def _mean(rows: list[CorrectionErrors]) -> CorrectionErrors:
    columns = torch.tensor(
        [
            [row.before, row.after, row.close_before, row.close_after, row.within_sigma]
            for row in rows
        ],
        dtype=torch.float64,
    )
    return CorrectionErrors(*columns.mean(0).tolist())
