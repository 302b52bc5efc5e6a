"""One keyframe's depth in metres, and how it was found."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.refine.depth_sigma import SigmaFactor
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_history import FoundScale, ScaleHistory


@dataclass(frozen=True, eq=False)
class MetricDepth:
    """One keyframe's depth in metres, and how it was found.

    Attributes:
        keyframe: the keyframe.
        unrefined: metric depth before refinement.
        estimate: the depth as it is given out, the mean with other keyframes where they were
            compared; ``unrefined`` itself where nothing changed it.
        history: scales including this keyframe's, for `DepthStage.keep`.
        config: of the refinement, as it was for this keyframe.
        sigma_factor: including this keyframe, for `DepthStage.keep`.
        motion_weight: (1, 1, H, W) support of ``estimate`` by known motion; or None.
        scale: from the source's own unit, before any room, to metres; None: none was needed.
        scale_sigma: standard deviation of the logarithm of the scale that motion gave this
            keyframe itself; None: it gave none.
        outcome: of the refinement; None: none is configured.
        notices: sentences for the user.
        own: the depth before the mean with others'; None: ``estimate``.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, None, KeyframeDecision(True, "first"))
        >>> raw = RawDepth(torch.ones(1, 1, 6, 8), None, "network", "network")
        >>> unknown = FoundScale(None, "network", ScaleHistory(), "0 labels")
        >>> metric = only_a_view(seen, raw, unknown, RefineConfig(), SigmaFactor())
        >>> metric.scale is None, float(metric.mapped.depth.max())
        (True, 0.0)
    """

    keyframe: Keyframe
    unrefined: DepthEstimate
    estimate: DepthEstimate
    history: ScaleHistory
    config: RefineConfig
    sigma_factor: SigmaFactor
    motion_weight: torch.Tensor | None = None
    scale: Scale | None = None
    scale_sigma: float | None = None
    outcome: RefineOutcome | None = None
    notices: tuple[str, ...] = ()
    own: DepthEstimate | None = None

    @property
    def mapped(self) -> DepthEstimate:
        """The keyframe's own depth, for the map and the memory of keyframes.

        The map makes its own mean of what keyframes say. It needs each one's own errors for that.
        """
        return self.estimate if self.own is None else self.own

    def remembered(self, raw: RawDepth, between: tuple[Keyframe, ...]) -> MappedKeyframe:
        """Return the entry for the memory of keyframes."""
        return MappedKeyframe(self.keyframe, raw, self.mapped, self.motion_weight, between)


def only_a_view(
    keyframe: Keyframe,
    raw: RawDepth,
    found: FoundScale,
    config: RefineConfig,
    sigma_factor: SigmaFactor,
    shifted: bool = False,
) -> MetricDepth:
    """Return a result without depth: a keyframe without a scale only serves others as a view.

    Args:
        shifted: see `DepthTraits`; a fixed factor is then no way out.
    """
    nothing = DepthEstimate(torch.zeros_like(raw.depth), None, raw.source, found.words)
    notice = (
        f"keyframe {keyframe.index} gets no depth: the depth network has no scale yet "
        f"({found.notice}). Move the camera sideways"
        + ("" if shifted else ", or set refine.scale.source: fixed")
    )
    return MetricDepth(
        keyframe, nothing, nothing, found.history, config, sigma_factor, notices=(notice,)
    )
