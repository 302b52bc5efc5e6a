"""Checks of the tensors of a network, before they are written and after they were read."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.weights_file import listed


def require_finite(tensors: Mapping[str, torch.Tensor], what: str, expected: str, do: str) -> None:
    """Refuse weights that are not finite numbers.

    Args:
        what, expected, do: the parts of the refusal.

    Raises:
        DepthError: NaN or infinite values.
    """
    broken = [key for key, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if broken:
        got = f"NaN or infinite values in {listed(broken)}"
        raise DepthError.from_parts(what, got, expected, do)


def require_same_tensors(
    tensors: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    what: str,
    expected: str,
) -> None:
    """Refuse tensors that have not exactly the names and shapes of a network's own.

    Args:
        what, expected: the parts of the refusal.

    Raises:
        DepthError: a name or a shape differs.
    """
    shapes, wanted = ({k: v.shape for k, v in state.items()} for state in (tensors, own))
    wrong = sorted(k for k in shapes.keys() | wanted.keys() if shapes.get(k) != wanted.get(k))
    if wrong:
        got = f"other tensors at {listed(wrong)}"
        raise DepthError.from_parts(what, got, expected, "give a file that this version wrote")
