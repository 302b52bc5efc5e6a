"""The size at which a keyframe goes into the map."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch.nn import functional

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.source import DepthTraits
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.refine.compared_depth import reduced


@dataclass(frozen=True)
class MappedView:
    """Reduces a keyframe and its depth to the detail that the depth has.

    Attributes:
        width: largest image width; 0: any.
        max_sigma: pixels with a larger relative standard deviation, errors of poses aside, are not
            mapped, where motion has corrected depth; 0: all are.

    Example:
        >>> camera = PinholeCamera(width=320, height=240, fx=300.0, fy=300.0, cx=159.5, cy=119.5)
        >>> MappedView(160).camera(camera).height
        120
    """

    width: int
    max_sigma: float = 0.0

    @staticmethod
    def of(config: MapConfig, traits: DepthTraits) -> MappedView:
        """Return the view for the depth of a source."""
        rough = config.unmeasured
        return MappedView(0) if traits.needs_sensor else MappedView(rough.width, rough.max_sigma)

    def camera(self, camera: PinholeCamera) -> PinholeCamera:
        """Return the reduced intrinsics."""
        if not 0 < self.width < camera.width:
            return camera
        return camera.resized(self.width, max(1, round(camera.height * self.width / camera.width)))

    def __call__(
        self, keyframe: Keyframe, estimate: DepthEstimate
    ) -> tuple[Keyframe, DepthEstimate]:
        """Return a keyframe and its depth at the reduced size; colours are averaged."""
        estimate = self._sure(estimate)
        camera = self.camera(keyframe.camera)
        if camera == keyframe.camera:
            return keyframe, estimate
        size = (camera.height, camera.width)
        image = functional.interpolate(keyframe.image, size, mode="area")
        confidence, sigma = estimate.confidence, estimate.sigma
        return replace(keyframe, image=image, camera=camera, sensor_depth=None), replace(
            estimate,
            depth=reduced(estimate.depth, size),
            confidence=None if confidence is None else reduced(confidence, size),
            sigma=None if sigma is None else reduced(sigma, size),
        )

    def _sure(self, estimate: DepthEstimate) -> DepthEstimate:
        """Return the estimate with a confidence of 0 where its deviation is too large.

        Without motion all pixels have a large one: on the spot a rough map is better than none.
        Errors of poses are common to all pixels, and tell none of them from the others.
        """
        if self.max_sigma == 0.0 or estimate.sigma is None or estimate.pose_sigma is None:
            return estimate
        limit = math.hypot(self.max_sigma, estimate.pose_sigma)
        sure = (estimate.sigma <= limit).to(estimate.depth)
        confidence = sure if estimate.confidence is None else sure * estimate.confidence
        return replace(estimate, confidence=confidence)
