"""The tracker of a pose source."""

from __future__ import annotations

from collections.abc import Callable

import torch

from e2e_slam_ros.config import Config, DepthConfig
from e2e_slam_ros.multiview.deepv2d.motion_alignment import MotionAligner
from e2e_slam_ros.multiview.dro.motion import DroMotion
from e2e_slam_ros.tracking.dense.alignment import Aligner
from e2e_slam_ros.tracking.dense.map_reference import MapReference
from e2e_slam_ros.tracking.dense.odometry import ALIGNERS, DenseTracker
from e2e_slam_ros.tracking.dense.second_stage import Proposal
from e2e_slam_ros.tracking.state import Tracker
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

# Value of pose.source -> what makes its aligner, of those that are networks.
_LEARNT: dict[str, Callable[[DepthConfig, torch.device], Aligner]] = {"deepv2d": MotionAligner}
# Value of tracking.dense -> what makes the network that proposes poses.
_PROPOSALS: dict[str, Callable[[DepthConfig, torch.device], Proposal]] = {
    "deepv2d": lambda config, device: MotionAligner(config, device).proposal,
    "dro": DroMotion,
}


def build_tracker(config: Config, device: torch.device) -> Tracker:
    """Return a new tracker: the one that ``pose.source`` names, the visual one for all others.

    >>> config = Config().with_values({"pose.source": "icp"})
    >>> type(build_tracker(config, torch.device("cpu"))).__name__
    'DenseTracker'

    Args:
        config: ``pose.source`` and ``tracking``.
        device: where images are aligned; the visual tracker runs on the CPU.

    Raises:
        DepthError: the weights of a network cannot be used.
    """
    if not config.pose.is_dense:
        return VisualTracker(config.tracking, _proposal(config))
    reference = None
    if config.tracking.odometry.reference == "map":
        reference = MapReference(config.map, device)
    source = config.pose.source
    learnt = _LEARNT.get(source)
    align = ALIGNERS[source] if learnt is None else learnt(config.depth, device)
    return DenseTracker(align, config.tracking, device, reference)


def _proposal(config: Config) -> Proposal | None:
    """Return the network that proposes poses to the visual tracker; None: there is none."""
    make = _PROPOSALS.get(config.tracking.dense)
    return None if make is None else make(config.depth, torch.device("cpu"))
