"""Parameters of the refinement."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.background import BackgroundConfig
from e2e_slam_ros.config.leaf import leaf
from e2e_slam_ros.config.motion_evidence import MotionEvidenceConfig
from e2e_slam_ros.config.support import SupportConfig


@dataclass(frozen=True)
class LossWeightsConfig:
    """Weights of the loss terms. A term with weight 0 is left out and costs no time.

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

    width: int = leaf(160, "image width at which corrections are found, pixels", low=32, live=True)
    levels: int = leaf(5, "levels of the pyramid of corrections", low=1, high=8, live=True)
    learning_rate: float = leaf(
        0.02,
        "first step of the logarithm of inverse depth, all levels together; later steps fall to a "
        "tenth of it",
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
        "parameters to adapt: all, decoder, or norm_and_last (weights of norm layers, last layer)",
        choices=("all", "decoder", "norm_and_last"),
    )
    learning_rate: float = leaf(2e-5, "step size of Adam", low=1e-8, high=0.1, live=True)
    reset_per_keyframe: bool = leaf(
        False,
        "true: every keyframe begins with the weights of the file, not with the adapted ones",
        live=True,
    )
    loss_width: int = leaf(
        160, "image width at which losses are computed, pixels", low=32, live=True
    )
    width: int = leaf(
        0,
        "width of the network's input, pixels, a multiple of 32; 0: depth.network.width. What the "
        "network learns at another size does not hold for its predictions",
        low=0,
        live=True,
    )
    height: int = leaf(
        0, "height of the network's input; 0: depth.network.height", low=0, live=True
    )


@dataclass(frozen=True)
class GuardConfig:
    """Limits under which a keyframe is not refined, or a refinement is given up.

    Example:
        >>> GuardConfig().held_back
        0.1
    """

    held_back: float = leaf(
        0.1,
        "share of the pixels that are kept out of the loss and only judge the result",
        low=0.0,
        high=0.5,
        live=True,
    )
    min_parallax: float = leaf(
        0.02, "a source with less translation over median depth is left out", low=0.0, live=True
    )
    min_valid: float = leaf(
        0.1, "smallest share of pixels that a refinement may rest on", low=0.0, high=1.0, live=True
    )
    patience: int = leaf(
        10,
        "the refinement stops after so many steps without a lower loss; 0: it does not stop early",
        low=0,
        live=True,
    )
    min_gain: float = leaf(
        1e-3,
        "smallest relative fall of the loss that counts as lower",
        low=0.0,
        high=1.0,
        live=True,
    )


@dataclass(frozen=True)
class ScaleConfig:
    """The source of the scale of a network's depth.

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
        False, "true: also fit a shift of inverse depth (motion and depth_topic)", live=True
    )
    factor: float = leaf(1.0, "metres per network unit, if the source is fixed", low=1e-3)
    learning_rate: float = leaf(
        0.04, "step size of the learned scale", low=1e-6, high=1.0, live=True
    )
    min_points: int = leaf(
        50, "smallest number of labels that a scale is fitted to", low=2, live=True
    )
    max_change: float = leaf(
        0.3,
        "largest relative difference of a scale from motion from the usual one of the last "
        "keyframes; 0: any",
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
        "auto",
        "auto: a metric depth network learns the room in the background, in the time that "
        "mapping leaves, from what motion has established; none: it stays as it is; output: each "
        "keyframe's depth map is corrected; network: the network is adapted before each keyframe "
        "is mapped",
        choices=("auto", "none", "output", "network"),
        live=True,
    )
    steps: int = leaf(5, "largest number of steps for a keyframe", low=0, high=500, live=True)
    neighbours: int = leaf(
        3, "number of views that a keyframe is compared with", low=1, high=8, live=True
    )
    wait_keyframes: int = leaf(
        3,
        "depth that motion corrects or that is refined is estimated again after n later "
        "keyframes, with views from both sides, and replaced in the map; left out while a newer "
        "keyframe waits; 0: never",
        low=0,
        high=8,
    )
    stationary_mask: bool = leaf(
        False,
        "true: leave out pixels that unwarped views explain at least as well as views warped by "
        "the first depth",
        live=True,
    )
    chamfer_points: int = leaf(
        3000,
        "largest number of points of the keyframe, and of the map, that are compared in a step",
        low=100,
        live=True,
    )
    chamfer_limit_m: float = leaf(
        0.2,
        "a point farther from the map than this is not drawn to it, metres",
        low=1e-3,
        live=True,
    )
    label_space: str = leaf(
        "log",
        "the depth that labels are compared in: log, inverse or metric",
        choices=("log", "inverse", "metric"),
        live=True,
    )
    weights: LossWeightsConfig = field(default_factory=LossWeightsConfig)
    output: OutputRefineConfig = field(default_factory=OutputRefineConfig)
    network: NetworkRefineConfig = field(default_factory=NetworkRefineConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    motion: MotionEvidenceConfig = field(default_factory=MotionEvidenceConfig)
    support: SupportConfig = field(default_factory=SupportConfig)

    @property
    def refines_keyframes(self) -> bool:
        """Whether each keyframe's depth is refined before it is mapped."""
        return self.strategy in ("output", "network")

    @property
    def uses_map(self) -> bool:
        """Whether the refinement compares depth with the surfels in view."""
        return self.refines_keyframes and self.weights.chamfer > 0
