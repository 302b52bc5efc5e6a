"""Loss terms: the weighted sum that is minimised, and the parts that are logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class LossTerms:
    """A loss and its parts.

    Attributes:
        total: scalar, weighted, to be differentiated.
        parts: scalars by name, unweighted and detached, each the mean over its samples.
        counts: the number of samples behind each part.

    >>> one = torch.ones(())
    >>> terms = LossTerms(one, {"metric": one}, {"metric": 4})
    >>> float((terms + LossTerms(one, {}, {})).total)
    2.0
    """

    total: torch.Tensor
    parts: Mapping[str, torch.Tensor]
    counts: Mapping[str, int]

    def __add__(self, other: LossTerms) -> LossTerms:
        """Return the sum of the totals, with the parts of both."""
        return LossTerms(
            self.total + other.total,
            {**self.parts, **other.parts},
            {**self.counts, **other.counts},
        )


def weighted_terms(
    parts: Mapping[str, torch.Tensor], weights: Mapping[str, float], count: int
) -> LossTerms:
    """Return the sum of ``weights[name] * parts[name]`` over the weights' names, with the parts.

    Args:
        parts: scalars; those without a weight are logged alone.
        count: the number of samples that each part is the mean of.
    """
    total = torch.stack([weight * parts[name] for name, weight in weights.items()]).sum()
    detached = {name: value.detach() for name, value in parts.items()}
    return LossTerms(total, detached, dict.fromkeys(parts, count))
