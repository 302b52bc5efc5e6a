"""DRO as a depth source: metric depth from the images and poses of the last keyframes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.dro.guide import depth_guide
from e2e_slam_ros.multiview.dro.views import SIZE_STEP, DepthGuide, DroViews
from e2e_slam_ros.multiview.dro.weights_file import load_dro
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.multiview.neighbours import far_enough, no_depth
from e2e_slam_ros.multiview.shipped_weights import chosen_weights

# Weights of the package: for depth with given poses, and for depth and poses together.
SHIPPED = Path(__file__).parent / "weights" / "dro_light.safetensors"
SHIPPED_POSES = SHIPPED.with_name("dro_light_poses.safetensors")
# Confidence of a pixel that motion stereo does not answer.
_FILLED = 0.1


class DroDepth:
    """The recurrent optimiser on a keyframe and earlier ones, whose poses are held.

    It starts from motion stereo, completed by single-image depth in its scale. Its answer is
    averaged with motion stereo's: one finds depth by the cost from a start, the other by trying
    all depths, and their errors differ. The poses give the metres. The first keyframe, and one
    whose neighbours did not move, get no depth: all pixels are 0.

    Args:
        config: ``depth.dro``, and what single-image depth and motion stereo need.
        device: where the networks run.
        shipped: weights where ``depth.dro.checkpoint`` names none.

    Raises:
        ConfigError: a single-image network of relative depth.
        DepthError: no weights, or weights that cannot be used.

    >>> DroDepth.traits.needs_views
    True
    """

    traits = DepthTraits("dro", DepthUnit.METRES, needs_views=True)
    network = None

    def __init__(self, config: DepthConfig, device: torch.device, shipped: Path = SHIPPED) -> None:
        self._config = config.dro
        self._stereo = MotionStereoDepth(config, device)
        self._single = NetworkDepth(config, device)
        if self._single.traits.shifted:
            raise ConfigError.from_parts(
                "depth.network.checkpoint",
                "a network of relative depth with depth.source: dro",
                "a network whose depth is known at least up to a factor",
                "use a metric network, or leave depth.network.* as it was",
            )
        path = chosen_weights("dro", self._config.checkpoint, shipped)
        self.optimiser = load_dro(path, device)

    @torch.inference_mode()
    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return depth and confidence; both are 0 where nothing is known."""
        sources = self.neighbours(keyframe, views)
        if not sources:
            return no_depth(keyframe, self.traits.name)
        stereo = self._stereo.estimate(keyframe, views)
        depths, confidence = self.refine(keyframe, sources, stereo)
        depth = self.mixed(depths[-1], stereo)
        return RawDepth(depth, confidence, self.traits.name, "motion")

    def refine(
        self, keyframe: Keyframe, sources: list[Keyframe], stereo: RawDepth
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the depth after every stage and the confidence, at the keyframe's size.

        Args:
            sources: at least one earlier keyframe that is some distance away.
            stereo: motion stereo's answer for the keyframe.

        Returns:
            (1, 1, H, W) metres, the start and each stage; (1, 1, H, W) in (0, 1].
        """
        native = (keyframe.camera.height, keyframe.camera.width)
        views = self.views([keyframe, *sources])
        size = (views.image.shape[-2], views.image.shape[-1])
        guide, weight = self._guide(keyframe, stereo, size)
        T_map_camera = torch.stack([item.T_map_camera for item in (keyframe, *sources)])
        T_i_0 = (se3.inverse(T_map_camera[1:]) @ T_map_camera[:1])[None]
        stages = self.optimiser(
            views,
            self._config.iterations,
            T_i_0.to(views.image),
            guide,
            self._config.least_change,
        )
        # Inverse depth is affine across a plane: resizing it keeps planes.
        inverse = [_resized((-stage.log_depth).exp(), native) for stage in stages]
        depths = [item.clamp_min(1e-3).reciprocal() for item in inverse]
        return depths, _FILLED + (1.0 - _FILLED) * weight

    def mixed(self, depth: torch.Tensor, stereo: RawDepth) -> torch.Tensor:
        """Return the mean of two answers whose errors differ, where motion stereo has one.

        Args:
            depth: (1, 1, H, W) metres, the optimiser's.
        """
        known = stereo.depth > 0
        other = torch.where(known, stereo.depth, depth).log()
        return torch.lerp(depth.log(), other, self._config.stereo_share).exp()

    def views(self, keyframes: list[Keyframe]) -> DroViews:
        """Return keyframes at the network's size; the first is the reference."""
        camera = keyframes[0].camera
        width = self._config.width
        height = max(2, round(width * camera.height / camera.width / SIZE_STEP)) * SIZE_STEP
        image = torch.cat([_resized(item.image, (height, width)) for item in keyframes])
        k = [item.camera.resized(width, height).matrix(image.device) for item in keyframes]
        return DroViews(image.clamp(0.0, 1.0)[None], torch.stack(k)[None])

    def _guide(
        self, keyframe: Keyframe, stereo: RawDepth, size: tuple[int, int]
    ) -> tuple[DepthGuide, torch.Tensor]:
        """Return the guide at the network's size, and motion stereo's weight at the keyframe's."""
        known = stereo.depth > 0
        weight = known.float() if stereo.confidence is None else stereo.confidence * known
        k = keyframe.camera.matrix(keyframe.image.device).unsqueeze(0)
        single = self._single.predict(keyframe.image, k)
        depth = torch.where(known, stereo.depth, torch.ones_like(single)).log()
        share = _resized(known.float(), size)
        reduced = _resized(depth * known, size) / share.clamp_min(1e-3)
        small = _resized(weight, size).clamp(0.0, 1.0)
        guide, _ = depth_guide(_resized(single.log(), size).exp(), reduced.exp(), small)
        if self._config.start == "single":
            guide = DepthGuide(guide.single, guide.single, guide.single, torch.zeros_like(small))
        return guide, weight

    def neighbours(self, keyframe: Keyframe, views: KeyframeViews) -> list[Keyframe]:
        """Return the newest views that are far enough away."""
        settings = self._config
        return far_enough(keyframe, views, settings.neighbours, settings.min_baseline_m)


def _resized(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if (image.shape[-2], image.shape[-1]) == size:
        return image
    return functional.interpolate(
        image, size, mode="bilinear", align_corners=False, antialias=True
    )
