"""Which weights a learnt depth source of several images takes."""

from __future__ import annotations

from pathlib import Path

from e2e_slam_ros.config.errors import DepthError


def chosen_weights(source: str, checkpoint: str, shipped: Path) -> Path:
    """Return the path of the weights that are configured, else of those of the package.

    Args:
        source: value of ``depth.source``, which is also the name of its training.
        checkpoint: ``depth.<source>.checkpoint``; empty: the package's.
        shipped: where the package keeps its weights, if it has any.

    Raises:
        DepthError: none are configured, and the package has none.

    >>> chosen_weights("dro", "mine.safetensors", Path("none")).name
    'mine.safetensors'
    """
    if checkpoint:
        return Path(checkpoint)
    if shipped.is_file():
        return shipped
    raise DepthError.from_parts(
        f"depth.{source}.checkpoint",
        "no weights",
        f"the path of weights of {source} (.safetensors)",
        f"train some with e2e-slam train {source}, or use depth.source: motion_stereo",
    )
