"""The sources of several images as functions of two images whose poses are unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch.nn import functional

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.evaluation.two_view.corner_motion import corner_motion
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.deepv2d.source import SHIPPED as DEEPV2D_SHIPPED
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d
from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.source import SHIPPED_POSES, DroDepth
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.multiview.shipped_weights import chosen_weights

# Turns of motion and depth of DeepV2D.
_TURNS = 3


@dataclass(frozen=True, eq=False)
class TwoViewGuess:
    """What a source says of two images after one of its steps.

    Attributes:
        step: its name, such as "8 updates".
        depth: (1, 1, H, W) of the reference, at its size; 0 = unknown.
        T_other_reference: (4, 4), points of the reference camera to the other.

    >>> TwoViewGuess("start", torch.ones(1, 1, 6, 8), torch.eye(4)).step
    'start'
    """

    step: str
    depth: torch.Tensor
    T_other_reference: torch.Tensor


# The reference and the other image -> the start and every step; the last one is the answer.
TwoViewPredictor: TypeAlias = Callable[[Keyframe, Keyframe], list[TwoViewGuess]]


def build_two_view(config: Config, device: torch.device) -> TwoViewPredictor:
    """Return the function that asks ``depth.source``. It looks at no pose of the keyframes.

    Raises:
        ConfigError: a source of one image, or the sensor.
        DepthError: weights that cannot be used.
    """
    makers: dict[str, Callable[[Config, torch.device], TwoViewPredictor]] = {
        "dro": DroTwoView,
        "deepv2d": DeepV2DTwoView,
        "motion_stereo": StereoTwoView,
    }
    if config.depth.source not in makers:
        raise ConfigError.from_parts(
            "--source",
            repr(config.depth.source),
            "one of: " + ", ".join(makers),
            "choose a source that compares images",
        )
    return makers[config.depth.source](config, device)


class DroTwoView:
    """DRO from the single image's depth: a guess after every four updates.

    >>> from e2e_slam_ros.config import Config
    >>> callable(DroTwoView(Config(), torch.device("cpu")))
    True
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        self._iterations = config.depth.dro.iterations
        self._least_change = config.depth.dro.least_change
        self._source = DroDepth(config.depth, device, SHIPPED_POSES)
        self._single = NetworkDepth(config.depth, device)

    @torch.inference_mode()
    def __call__(self, reference: Keyframe, other: Keyframe) -> list[TwoViewGuess]:
        """Return the start and every stage."""
        views, network = self._source.views([reference, other]), self._source.optimiser
        guide = None
        if network.shape.guided:
            depth = self._single.predict(views.image[:, 0], views.intrinsics[:, 0])
            guide, _ = depth_guide(depth, depth, torch.zeros_like(depth))
        stages = network(views, self._iterations, None, guide, self._least_change)
        done = [min(i * network.shape.updates, self._iterations) for i in range(len(stages))]
        return [
            TwoViewGuess(f"{updates} updates", _native(stage.depth, reference), stage.T_i_0[0, 0])
            for updates, stage in zip(done, stages, strict=True)
        ]


class DeepV2DTwoView:
    """DeepV2D from the single image's depth: a guess after every turn of motion and depth.

    >>> from e2e_slam_ros.config import Config
    >>> callable(DeepV2DTwoView(Config(), torch.device("cpu")))
    True
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        settings = config.depth.deepv2d
        self._size = (settings.height, settings.width)
        path = chosen_weights("deepv2d", settings.checkpoint, DEEPV2D_SHIPPED)
        self._network = load_deepv2d(path, device)
        self._single = NetworkDepth(config.depth, device)

    @torch.inference_mode()
    def __call__(self, reference: Keyframe, other: Keyframe) -> list[TwoViewGuess]:
        """Return the start and every turn."""
        images = torch.cat([_resized(item.image, self._size) for item in (reference, other)])
        images = images.clamp(0.0, 1.0)
        camera = reference.camera.resized(self._size[1], self._size[0])
        k = camera.matrix(images.device)[None]
        depth = self._single.predict(images[:1], k)
        poses = self._network.initial_pose(images[None])
        guesses = [TwoViewGuess("start", _native(depth, reference), poses[0, 1])]
        for turn in range(1, _TURNS + 1):
            found = self._network(images[None], k, 1, T_camera_map=poses, depth=depth)
            depth, poses = found.depth, found.T_camera_map
            name = f"{turn} turn{'s' if turn > 1 else ''}"
            guesses.append(TwoViewGuess(name, _native(depth, reference), poses[0, 1]))
        return guesses


class StereoTwoView:
    """Motion stereo at the motion that corners show: no network, but for the length in metres.

    >>> from e2e_slam_ros.config import Config
    >>> callable(StereoTwoView(Config(), torch.device("cpu")))
    True
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        # One neighbour, however near: the pair is what it is.
        config = config.with_values({"depth.motion.min_baseline_m": 0.001})
        self._source = MotionStereoDepth(config.depth, device)
        self._single = NetworkDepth(config.depth, device)

    @torch.inference_mode()
    def __call__(self, reference: Keyframe, other: Keyframe) -> list[TwoViewGuess]:
        """Return one guess.

        Raises:
            PoseError: too few corners, or no motion that fits them.
        """
        k = reference.camera.matrix(reference.image.device)[None]
        single = self._single.predict(reference.image, k)
        T = corner_motion(reference, other, single)
        identity = torch.eye(4, dtype=torch.float64)
        memory = Keyframes(2)
        memory.add(MappedKeyframe(replace(other, index=0, T_map_camera=se3.inverse(T))))
        target = replace(reference, index=1, T_map_camera=identity)
        return [TwoViewGuess("corners", self._source.estimate(target, memory).depth, T)]


def _native(depth: torch.Tensor, keyframe: Keyframe) -> torch.Tensor:
    """Return depth at the keyframe's size. Inverse depth is affine across a plane."""
    size = (keyframe.camera.height, keyframe.camera.width)
    if (depth.shape[-2], depth.shape[-1]) == size:
        return depth
    inverse = functional.interpolate(
        depth.reciprocal(), size, mode="bilinear", align_corners=False
    )
    return inverse.reciprocal()


def _resized(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if (image.shape[-2], image.shape[-1]) == size:
        return image
    return functional.interpolate(
        image, size, mode="bilinear", align_corners=False, antialias=True
    )
