"""Parameters of the depth evidence that known motion gives."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class MotionEvidenceConfig:
    """Weights of the kinds of evidence. A fair match of images costs 0.5, no match costs 1.

    Example:
        >>> MotionEvidenceConfig().neighbours
        6
    """

    enabled: bool = leaf(
        True,
        "true: known motion corrects a network's depth pixel by pixel, if refine.scale.source is "
        "motion; false: it gives one scale for the whole keyframe",
        live=True,
    )
    neighbours: int = leaf(
        6, "number of earlier views to compare with, and of later ones", low=1, high=16, live=True
    )
    between: int = leaf(
        3,
        "number of earlier views that may be camera frames between keyframes",
        low=0,
        high=8,
        live=True,
    )
    min_baseline_m: float = leaf(
        0.03,
        "views nearer than this are left out, metres: they show no parallax",
        low=0.0,
        live=True,
    )
    min_information: float = leaf(
        0.0055,
        "motion is ignored if mean plane weight times parallax (distance of the farthest view "
        "over depth) is smaller: it needs a parallax of 0.07 where images agree as usual, of "
        "0.15 where they hardly agree, and more where tracked poses are uncertain",
        low=0.0,
        live=True,
    )
    width: int = leaf(160, "image width of the plane sweep in pixels", low=32, live=True)
    planes: int = leaf(
        52,
        "depths tried, evenly spaced in inverse depth; the finer steps of local_steps follow",
        low=8,
        high=512,
        live=True,
    )
    coarse: float = leaf(
        0.25,
        "weight of a second sweep at a quarter of the width; 0 leaves it out",
        low=0.0,
        live=True,
    )
    prior: float = leaf(
        0.2, "largest cost of a pixel's distance from the expected depth", low=0.0, live=True
    )
    prior_reach: float = leaf(
        1.0,
        "difference of log depth from the expected depth at which the cost is largest",
        low=1e-3,
        live=True,
    )
    network_share: float = leaf(
        0.6,
        "share of the network's shape in the expected depth; the rest is interpolated between the "
        "pixels that motion is sure of",
        low=0.0,
        high=1.0,
        live=True,
    )
    earlier: float = leaf(
        0.3,
        "largest cost of a pixel's distance from the depth of other keyframes",
        low=0.0,
        live=True,
    )
    earlier_reach: float = leaf(
        0.1,
        "difference of log depth from other keyframes at which the cost is largest",
        low=1e-3,
        live=True,
    )
    preference: float = leaf(
        0.01,
        "difference of the images' correlation at a chosen plane and at the network's depth from "
        "which on only the plane counts; where the plane is no better, the network's depth stays; "
        "0: the plane always counts",
        low=0.0,
        high=2.0,
        live=True,
    )
    smoothing: float = leaf(
        0.05,
        "weight added to the chosen plane of every pixel, against the 0.02 of its surroundings",
        low=0.0,
        live=True,
    )
    own_error: float = leaf(
        0.04,
        "mean correction, natural logarithm of depth, up to which it is taken for motion's own "
        "error and left out; a larger one is shrunk, the less the larger it is",
        low=0.0,
        live=True,
    )
    local_steps: int = leaf(
        4,
        "depths tried on either side of the corrected depth, for the last fine step to where the "
        "images agree best; 0 leaves the step out",
        low=0,
        high=20,
        live=True,
    )
    local_width: int = leaf(
        320,
        "image width of the fine step in pixels; the fine step is no coarser than the sweep",
        low=32,
        live=True,
    )
    local_reach: float = leaf(
        0.1,
        "largest change of the fine step, as a share of the inverse depth",
        low=0.001,
        high=0.5,
        live=True,
    )
    learned: bool = leaf(
        True,
        "true: a small network that has learned the errors of this correction corrects them at "
        "last, and states a standard deviation; false: the step is left out. It needs "
        "local_steps as they are by default, and a sweep of 96 pixels or more",
        live=True,
    )
