"""Parameters of the refinement."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.config.motion_evidence import MotionEvidenceConfig


@dataclass(frozen=True)
class LossWeightsConfig:
    """What each loss term weighs; 0 leaves it out and saves its time.

    Example:
        >>> LossWeightsConfig().photometric
        1.0
    """

    photometric: float = leaf(
        1.0, "weight of the photometric loss (paper eq. 3)", low=0.0, live=True
    )
    chamfer: float = leaf(
        1.0, "weight of the distance to the map, per m2 (eq. 5)", low=0.0, live=True
    )
    regulariser: float = leaf(
        0.01, "gamma, weight of |D_0 - D_i|, per metre (eq. 4)", low=0.0, live=True
    )
    smoothness: float = leaf(0.3, "weight of edge-aware smoothness", low=0.0, live=True)
    consistency: float = leaf(
        0.1, "weight of agreement with the sources' depth", low=0.0, live=True
    )
    labels: float = leaf(
        1.0, "weight of sparse labels, on the logarithm of depth", low=0.0, live=True
    )


@dataclass(frozen=True)
class OutputRefineConfig:
    """Refinement of the depth map itself (paper B.3).

    Example:
        >>> OutputRefineConfig().levels
        5
    """

    width: int = leaf(160, "image width the corrections are found at, pixels", low=32, live=True)
    levels: int = leaf(5, "levels of the pyramid of corrections", low=1, high=8, live=True)
    learning_rate: float = leaf(
        0.02,
        "first step of the logarithm of inverse depth, all levels together; falls to a tenth",
        low=1e-6,
        high=1.0,
        live=True,
    )


@dataclass(frozen=True)
class NetworkRefineConfig:
    """Refinement of the network's parameters (paper 3.1, 4.2).

    Example:
        >>> NetworkRefineConfig().parameters
        'decoder'
    """

    parameters: str = leaf(
        "decoder",
        "what is adapted: all, decoder, or norm_and_last (norm layers' weights, last layer)",
        choices=("all", "decoder", "norm_and_last"),
    )
    learning_rate: float = leaf(2e-5, "step of Adam", low=1e-8, high=0.1, live=True)
    reset_per_keyframe: bool = leaf(
        False,
        "begin every keyframe with the weights of the file instead of the adapted ones",
        live=True,
    )
    loss_width: int = leaf(
        160, "image width the losses are computed at, pixels", low=32, live=True
    )
    width: int = leaf(
        0,
        "width of the network's input, pixels, a multiple of 32; 0: depth.network.width. At "
        "another size it learns what does not hold for its predictions",
        low=0,
        live=True,
    )
    height: int = leaf(
        0, "height of the network's input; 0: depth.network.height", low=0, live=True
    )


@dataclass(frozen=True)
class GuardConfig:
    """When a keyframe is not refined, and when a refinement is given up.

    Example:
        >>> GuardConfig().held_back
        0.1
    """

    held_back: float = leaf(
        0.1, "share of the pixels that only judge the result", low=0.0, high=0.5, live=True
    )
    min_parallax: float = leaf(
        0.02, "translation over median depth under which a source says nothing", low=0.0, live=True
    )
    min_valid: float = leaf(
        0.1, "share of pixels a refinement must rest on", low=0.0, high=1.0, live=True
    )
    patience: int = leaf(
        10,
        "steps without a lower loss after which refinement stops; 0 never stops",
        low=0,
        live=True,
    )
    min_gain: float = leaf(
        1e-3, "relative fall of the loss that counts as lower", low=0.0, high=1.0, live=True
    )


@dataclass(frozen=True)
class ScaleConfig:
    """Where a network's depth gets its metres from.

    Example:
        >>> ScaleConfig().source
        'motion'
    """

    source: str = leaf(
        "motion",
        "motion: points triangulated from known motion; depth_topic: measured depth; fixed: a "
        "factor; learned: 1x1 convolution (paper B.2); groundtruth_median: for evaluation only",
        choices=("motion", "depth_topic", "fixed", "learned", "groundtruth_median"),
    )
    shift: bool = leaf(
        False, "also fit a shift of inverse depth (motion and depth_topic)", live=True
    )
    factor: float = leaf(1.0, "metres per network unit where the source is fixed", low=1e-3)
    learning_rate: float = leaf(0.04, "step of the learned scale", low=1e-6, high=1.0, live=True)
    min_points: int = leaf(50, "fewest labels an alignment is made from", low=2, live=True)
    max_change: float = leaf(
        0.3,
        "how far a scale from motion may be from the median of the last nine, relative; 0: any",
        low=0.0,
        live=True,
    )


@dataclass(frozen=True)
class RefineConfig:
    """Online adaptation.

    Example:
        >>> RefineConfig(strategy="output").weights.chamfer
        1.0
    """

    strategy: str = leaf(
        "none",
        "none; output: the depth map is corrected; network: the depth network is adapted",
        choices=("none", "output", "network"),
        live=True,
    )
    steps: int = leaf(5, "most steps a keyframe", low=0, high=500, live=True)
    neighbours: int = leaf(3, "views a keyframe is compared with", low=1, high=8, live=True)
    wait_keyframes: int = leaf(
        0,
        "later keyframes after which a keyframe is refined again, with views from both sides; "
        "needs map.revisable_keyframes of at least 2 n + 1; 0 never",
        low=0,
        high=8,
    )
    stationary_mask: bool = leaf(
        False,
        "leave out pixels that unwarped views explain at least as well as the first depth does",
        live=True,
    )
    chamfer_points: int = leaf(
        3000, "points compared with the map, and of the map, each step", low=100, live=True
    )
    chamfer_limit_m: float = leaf(
        0.2,
        "distance to the map beyond which a point is not drawn to it, metres",
        low=1e-3,
        live=True,
    )
    label_space: str = leaf(
        "log",
        "labels are compared in: log, inverse or metric depth",
        choices=("log", "inverse", "metric"),
        live=True,
    )
    weights: LossWeightsConfig = field(default_factory=LossWeightsConfig)
    output: OutputRefineConfig = field(default_factory=OutputRefineConfig)
    network: NetworkRefineConfig = field(default_factory=NetworkRefineConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    motion: MotionEvidenceConfig = field(default_factory=MotionEvidenceConfig)
