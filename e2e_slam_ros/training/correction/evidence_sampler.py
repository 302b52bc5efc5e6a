"""Batches of evidence; the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.correction.batch import CorrectionBatch
from e2e_slam_ros.training.correction.evidence import KeyframeEvidence
from e2e_slam_ros.training.correction.evidence_set import EvidenceSet
from e2e_slam_ros.training.data.batch import stacked

# The sides of a part are multiples of this.
_MULTIPLE = 8
_MIRRORED = 0.5


def as_batch(evidence: KeyframeEvidence) -> CorrectionBatch:
    """Return the evidence of one keyframe as a batch."""
    coarse, fine = (
        torch.from_numpy(part).float()[None] for part in (evidence.coarse, evidence.fine)
    )
    depth, truth = (
        torch.from_numpy(part).float()[None, None] for part in (evidence.depth, evidence.truth)
    )
    return CorrectionBatch(coarse, fine, depth, truth)


class EvidenceSampler:
    """Draws keyframes, cuts a part out of each, mirrors half of them, and stacks them.

    A batch depends on seed, step, rank and the number of processes alone. It is drawn from walks
    of one set whose sweeps have one size.

    Args:
        sets: evidence and its weight.
        size: height and width of the parts, in pixels of the sweep; smaller sweeps are used as
            they are.
        world: number of processes.

    Raises:
        TrainingError: a set with a weight has no evidence, or there is no set.

    >>> EvidenceSampler([], 0, 2, (96, 144))
    Traceback (most recent call last):
    ...
    e2e_slam_ros.config.errors.TrainingError: training data: got no evidence, expected keyframes...
    """

    def __init__(
        self,
        sets: Sequence[tuple[EvidenceSet, float]],
        seed: int,
        batch_size: int,
        size: tuple[int, int],
        world: int = 1,
    ) -> None:
        used = [(evidence, weight) for evidence, weight in sets if weight > 0]
        self._sets = [_CountedSet(evidence) for evidence, _ in used]
        if not used or any(counted.total == 0 for counted in self._sets):
            raise TrainingError.from_parts(
                "training data",
                "no evidence",
                "keyframes with parallax and known depth",
                "add rooms or other recordings, with a camera that moves",
            )
        self._weights = torch.tensor([weight for _, weight in used], dtype=torch.float64)
        self._seed, self._world = seed, world
        self._batch_size, self._size = batch_size, size

    def batch(self, step: int, rank: int) -> CorrectionBatch:
        """Return the batch of a step (from 0) for one of the processes, on the CPU."""
        generator = torch.Generator()
        generator.manual_seed((self._seed * 1_000_003 + step) * self._world + rank)
        chosen = self._sets[int(torch.multinomial(self._weights, 1, generator=generator))]
        drawn = chosen.draw(self._batch_size, generator)
        return stacked([_part(as_batch(item), self._size, generator) for item in drawn])


class _CountedSet:
    """A set with the number of keyframes of each walk."""

    def __init__(self, evidence: EvidenceSet) -> None:
        self._evidence = evidence
        sizes = [evidence.sizes(walk) for walk in range(len(evidence))]
        self._counts = torch.tensor([size.count for size in sizes], dtype=torch.float64)
        self._shapes = torch.tensor([[size.height, size.width] for size in sizes])
        self.total = sum(size.count for size in sizes)

    def draw(self, count: int, generator: torch.Generator) -> list[KeyframeEvidence]:
        """Return keyframes whose sweeps have one size; all keyframes are equally likely."""
        first = int(torch.multinomial(self._counts, 1, generator=generator))
        alike = (self._shapes == self._shapes[first]).all(1)
        weights = self._counts * alike
        walks = torch.multinomial(weights, count, replacement=True, generator=generator)
        return [
            self._evidence.evidence(
                walk, int(torch.randint(int(self._counts[walk]), (), generator=generator))
            )
            for walk in walks.tolist()
        ]


def _part(
    whole: CorrectionBatch, size: tuple[int, int], generator: torch.Generator
) -> CorrectionBatch:
    """Return a random part of a keyframe, mirrored or not. All its images may be mirrored."""
    (top, height), (left, width) = (
        _span(have, want, generator)
        for have, want in zip(whole.coarse.shape[-2:], size, strict=True)
    )

    def cut(image: torch.Tensor, factor: int) -> torch.Tensor:
        rows = slice(factor * top, factor * (top + height))
        return image[..., rows, factor * left : factor * (left + width)]

    parts = [cut(whole.coarse, 1), *(cut(x, 2) for x in (whole.fine, whole.depth, whole.truth))]
    if float(torch.rand((), generator=generator)) < _MIRRORED:
        parts = [part.flip(-1) for part in parts]
    return CorrectionBatch(*parts)


def _span(have: int, want: int, generator: torch.Generator) -> tuple[int, int]:
    """Return where a part begins and how long it is."""
    length = min(want, have)
    length = length // _MULTIPLE * _MULTIPLE or length
    return int(torch.randint(have - length + 1, (), generator=generator)), length
