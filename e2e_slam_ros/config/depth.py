"""Parameters of the depth sources."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.leaf import leaf


def _neighbours() -> int:
    return leaf(4, "number of earlier keyframes to compare with", low=1, high=16)


def _min_baseline_m() -> float:
    return leaf(
        0.06,
        "earlier keyframes nearer than this are left out, metres: they show no parallax",
        low=0.0,
    )


def _checkpoint() -> str:
    """Return the leaf of weights that the package may lack."""
    return leaf(
        "", "path of the weights (.safetensors); empty: those of the package, if it has any"
    )


@dataclass(frozen=True)
class NetworkConfig:
    """The single-image depth network.

    Example:
        >>> NetworkConfig().width
        256
    """

    architecture: str = leaf(
        "efficientnet_lite2",
        "efficientnet_lite2: metric, its weights come with the package; efficientnet_lite0: the "
        "same for three quarters of the time, less accurate; disp_resnet18: "
        "SC-SfMLearner's, depth up to a factor, needs a checkpoint; transformers: any depth "
        "network of the transformers library, from a folder; onnx: any depth network in an ONNX "
        "file",
        choices=(
            "efficientnet_lite2",
            "efficientnet_lite0",
            "disp_resnet18",
            "transformers",
            "onnx",
        ),
    )
    checkpoint: str = leaf(
        "",
        "path of the weights (.safetensors, .pth.tar; a folder for transformers, .onnx for onnx); "
        "empty: those of the package",
    )
    output: str = leaf(
        "auto",
        "what a network of transformers or onnx predicts; metres; depth: up to a factor; "
        "inverse_depth: up to a factor; shifted_inverse_depth: up to a factor and a shift; auto: "
        "as its config.json says",
        choices=("auto", "metres", "depth", "inverse_depth", "shifted_inverse_depth"),
    )
    width: int = leaf(
        256,
        "network input width in pixels, a multiple of 32; unused where the network's files say it",
        low=64,
    )
    height: int = leaf(192, "network input height in pixels, as the width", low=64)
    confidence: bool = leaf(
        False, "true: pixels weigh less in the map where the network expects larger errors"
    )


@dataclass(frozen=True)
class MotionConfig:
    """Depth from known motion (``depth.source: motion_stereo``).

    Example:
        >>> MotionConfig().planes
        64
    """

    width: int = leaf(160, "image width of the plane sweep in pixels", low=32)
    planes: int = leaf(64, "depths tried, evenly spaced in inverse depth", low=8, high=512)
    near_m: float = leaf(0.4, "nearest depth tried, metres", low=0.05)
    neighbours: int = _neighbours()
    min_baseline_m: float = _min_baseline_m()
    min_evidence: float = leaf(
        0.02,
        "a pixel gets no depth if a smaller share of the pixels around it is trusted",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True)
class DroConfig:
    """Depth from several images by the recurrent optimiser (``depth.source: dro``).

    Example:
        >>> DroConfig().iterations
        8
    """

    checkpoint: str = _checkpoint()
    width: int = leaf(192, "network input width in pixels, a multiple of 16", low=64)
    iterations: int = leaf(
        8, "updates of the depth, most; 0 gives the depth it starts from", low=0, high=48
    )
    least_change: float = leaf(
        0.0, "end early when depth changes by less, as a mean share; 0 never", low=0.0, high=1.0
    )
    start: str = leaf(
        "stereo",
        "stereo: motion stereo, completed by the image's depth in its scale; single: the image's "
        "depth alone",
        choices=("stereo", "single"),
    )
    stereo_share: float = leaf(
        0.5,
        "share of motion stereo in the answer where it has one, by the logarithm of depth",
        low=0.0,
        high=1.0,
    )
    neighbours: int = _neighbours()
    min_baseline_m: float = _min_baseline_m()


@dataclass(frozen=True)
class DeepV2DConfig:
    """Depth from several images by DeepV2D (``depth.source: deepv2d``).

    Example:
        >>> DeepV2DConfig().neighbours
        4
    """

    checkpoint: str = _checkpoint()
    width: int = leaf(256, "network input width in pixels, a multiple of 4", low=32)
    height: int = leaf(192, "network input height in pixels, a multiple of 4", low=32)
    neighbours: int = _neighbours()
    min_baseline_m: float = _min_baseline_m()
    min_confidence: float = leaf(
        0.3, "a pixel gets no depth where the network is less sure", low=0.0, high=1.0
    )
    motion_stereo: str = leaf(
        "mean",
        "where motion stereo answers too; mean: the geometric mean of both depths; fill: motion "
        "stereo's depth; off: motion stereo is not asked",
        choices=("mean", "fill", "off"),
    )


@dataclass(frozen=True)
class DepthConfig:
    """The source of a keyframe's depth.

    Example:
        >>> DepthConfig(source="network").motion.near_m
        0.4
    """

    source: str = leaf(
        "sensor",
        "sensor: the aligned depth topic; motion_stereo: depth from the images and poses of the "
        "last keyframes; network: depth predicted from one image; dro: motion_stereo and network, "
        "refined by a recurrent optimiser; deepv2d: as motion_stereo, by a network",
        choices=("sensor", "motion_stereo", "network", "dro", "deepv2d"),
    )
    min_m: float = leaf(0.1, "nearest depth used, metres", low=0.0)
    max_m: float = leaf(8.0, "farthest depth used, metres", low=0.1)
    sync_tolerance_s: float = leaf(
        0.02,
        "largest time difference between a depth image and its colour image, seconds",
        low=0.0,
        high=1.0,
        live=True,
    )
    wait_s: float = leaf(
        0.5,
        "longest time that a keyframe waits for its depth image, seconds",
        low=0.0,
        high=10.0,
        live=True,
    )
    motion: MotionConfig = field(default_factory=MotionConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    dro: DroConfig = field(default_factory=DroConfig)
    deepv2d: DeepV2DConfig = field(default_factory=DeepV2DConfig)
