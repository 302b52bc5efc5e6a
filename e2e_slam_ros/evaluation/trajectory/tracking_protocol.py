"""Score of a tracked sequence: errors against recorded poses, time, and share of lost frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.evaluation.trajectory.alignment import umeyama
from e2e_slam_ros.evaluation.trajectory.errors import Array, ate_rmse, drift_percent, rpe
from e2e_slam_ros.tracking.offline import DepthOf, TrackedSequence, track_sequence
from e2e_slam_ros.tracking.state import Tracker
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

_NOISE = 1.0  # grey values


@dataclass(frozen=True)
class TrackingScore:
    """Figures of one run; None where the recording has no poses.

    Attributes:
        ate_se3_m, ate_sim3_m: RMSE of positions after rigid and after similarity alignment,
            metres, with the keyframes where the last adjustment put them.
        online_ate_se3_m, online_ate_sim3_m: the same of the poses given out at the time.
        scale: true metres per estimated metre; 1 is right.
        drift_pct: error of the end pose over the path's length, per cent.
        rpe_m, rpe_deg: RMSE of the motion from frame to frame.
        tracked: share of frames with a pose, 0 to 1.
        keyframes: number of keyframes.
        readout_s: readout time of the shutter used at the end, seconds.
        track_p50_ms, track_p95_ms, adjust_p50_ms, adjust_p95_ms: wall time per frame and per
            adjustment.

    Example:
        >>> from e2e_slam_ros.tracking.state import TrackingState
        >>> sequence = TrackedSequence(
        ...     stamps_ns=np.arange(3),
        ...     T_map_camera=np.tile(np.eye(4), (3, 1, 1)),
        ...     online=np.tile(np.eye(4), (3, 1, 1)),
        ...     states=(TrackingState.TRACKING,) * 3,
        ...     reasons=("",) * 3,
        ...     track_ms=np.array([4.0, 5.0, 6.0]),
        ...     adjust_ms=np.zeros(0),
        ...     keyframes=(0,),
        ...     landmarks=np.zeros((0, 3)),
        ...     readout_s=0.0,
        ... )
        >>> figures = score(sequence, true=np.full((3, 4, 4), np.nan))
        >>> figures.tracked, figures.track_p50_ms, figures.ate_se3_m
        (1.0, 5.0, None)
    """

    ate_se3_m: float | None
    ate_sim3_m: float | None
    online_ate_se3_m: float | None
    online_ate_sim3_m: float | None
    scale: float | None
    drift_pct: float | None
    rpe_m: float | None
    rpe_deg: float | None
    tracked: float
    keyframes: int
    readout_s: float
    track_p50_ms: float
    track_p95_ms: float
    adjust_p50_ms: float
    adjust_p95_ms: float


@dataclass(frozen=True, eq=False)
class TrackingRun:
    """One run: the tracked sequence, the true poses (N, 4, 4) with NaN for none, and the figures.

    Example:
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> dark = [Frame(i, i, np.zeros((48, 64, 3), np.uint8), camera) for i in range(3)]
        >>> run = run_tracking(dark, TrackingConfig(), depth_of=None)
        >>> run.true.shape, run.score.tracked
        ((3, 4, 4), 0.0)
    """

    sequence: TrackedSequence
    true: Array
    score: TrackingScore


def run_tracking(
    frames: Iterable[Frame],
    config: TrackingConfig,
    depth_of: DepthOf | None,
    seed: int = 0,
    tracker: Tracker | None = None,
) -> TrackingRun:
    """Track a sequence and compare it with its recorded poses.

    The same frames give the same poses each time. A seed other than 0 adds noise of one grey value
    to the images; the spread of the figures over several seeds shows their uncertainty.

    Args:
        frames: in order.
        config: of the visual tracker.
        depth_of: see `track_sequence`.
        seed: of the noise.
        tracker: a new one, in place of the visual one.
    """
    true: list[Array] = []

    def watched() -> Iterator[Frame]:
        generator = np.random.default_rng(seed)
        for frame in frames:
            pose = frame.T_map_camera
            true.append(np.full((4, 4), np.nan) if pose is None else pose)
            yield frame if seed == 0 else _noisy(frame, generator)

    sequence = track_sequence(watched(), tracker or VisualTracker(config), depth_of)
    poses = np.stack(true) if true else np.zeros((0, 4, 4))
    return TrackingRun(sequence, poses, score(sequence, poses))


def score(sequence: TrackedSequence, true: Array) -> TrackingScore:
    """Return the figures of a tracked sequence; ``true`` (N, 4, 4), NaN where not recorded."""
    final, online = sequence.T_map_camera, sequence.online
    motion = rpe(final, true)
    drift = drift_percent(final, true)
    adjust = sequence.adjust_ms if len(sequence.adjust_ms) else np.zeros(1)
    return TrackingScore(
        ate_se3_m=ate_rmse(final, true),
        ate_sim3_m=ate_rmse(final, true, with_scale=True),
        online_ate_se3_m=ate_rmse(online, true),
        online_ate_sim3_m=ate_rmse(online, true, with_scale=True),
        scale=_scale(final, true),
        drift_pct=drift,
        rpe_m=None if motion is None else motion.translation_rmse_m,
        rpe_deg=None if motion is None else motion.rotation_rmse_deg,
        tracked=sequence.tracked,
        keyframes=len(sequence.keyframes),
        readout_s=sequence.readout_s,
        track_p50_ms=float(np.percentile(sequence.track_ms, 50)),
        track_p95_ms=float(np.percentile(sequence.track_ms, 95)),
        adjust_p50_ms=float(np.percentile(adjust, 50)),
        adjust_p95_ms=float(np.percentile(adjust, 95)),
    )


def median_and_range(values: Sequence[float | None]) -> tuple[float, float, float] | None:
    """Return median, least and greatest of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return float(np.median(known)), float(min(known)), float(max(known))


def _scale(estimated: Array, true: Array) -> float | None:
    both = np.isfinite(estimated).all((1, 2)) & np.isfinite(true).all((1, 2))
    if both.sum() < 3:
        return None
    return umeyama(estimated[both, :3, 3], true[both, :3, 3], True).scale


def _noisy(frame: Frame, generator: np.random.Generator) -> Frame:
    noise = generator.normal(0.0, _NOISE, frame.image.shape)
    image = np.clip(np.round(frame.image + noise), 0, 255).astype(np.uint8)
    return replace(frame, image=image)
