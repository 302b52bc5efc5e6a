"""Player and SLAM node in one process over real ROS 2, for machines without `launch`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.context import Context
from rclpy.parameter import Parameter

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.nodes.dataset_player import DatasetPlayer
from e2e_slam_ros.nodes.parameters import overrides
from e2e_slam_ros.nodes.ros_start import start_ros
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.nodes.spinning import SpinThread
from e2e_slam_ros.nodes.transport import make_room_for_images
from e2e_slam_ros.slam.observer import RunObserver

# In a real-time run the last frames are still in transit when the player has ended.
_SETTLE_S = 2.0
_DRAIN_S = 300.0
# Participants that are there already are found within this time. Nothing tells that there is none.
_DISCOVERY_S = 0.3
# Fast DDS forgets a participant that has gone silent after 20 s.
_LEASE_S = 22.0


@dataclass(frozen=True, eq=False)
class ReplayOutcome:
    """Result of a replay.

    Attributes:
        frames: number of tracked images.
        keyframes: number of chosen keyframes.
        dropped: number of keyframes that a newer one replaced in the queue.
        problems: number of problems for each kind.
        cloud: the whole map.
        map_hash: hash of the map's full state. Equal maps have equal hashes.
        wall_s: seconds from the first frame to the last mapped keyframe.
        interrupted: true if Ctrl-C ended the replay early.
        failure: error that ended the replay early, after keyframes were mapped; or None.
        checkpoint: the map's file, or the error that it could not be written for; None: not
            asked for, or there is no map.
        landmarks: (L, 3) of the visual tracker in the map, metres; None without it.
    """

    frames: int
    keyframes: int
    dropped: int
    problems: dict[str, int]
    cloud: SurfelCloud
    map_hash: str
    wall_s: float
    interrupted: bool
    failure: E2ESlamError | None = None
    checkpoint: Path | E2ESlamError | None = None
    landmarks: npt.NDArray[np.float64] | None = None


def run_replay(
    reader: FrameReader,
    config: Config,
    *,
    lockstep: bool,
    rate: float = 1.0,
    recorder: RunObserver | None = None,
    progress: bool = True,
    checkpoint: Path | None = None,
) -> ReplayOutcome:
    """Play a sequence into a SLAM node and return the result.

    Ctrl-C ends the replay early. The result so far is still returned.

    Args:
        config: the SLAM node's parameters; lock-step sets ``runtime.offline``.
        lockstep: frame by frame and deterministic; otherwise in real time.
        rate: speed relative to the recording, in real time.
        checkpoint: where the map is written at the end, to go on from; None: nowhere. A map that
            was only localised in is not written again.

    Raises:
        E2ESlamError: input or parameters that cannot be used, another player or SLAM node in the
            same ROS domain, or a player that failed before anything was mapped.
    """
    # The caller writes the results, also of a run that ends early.
    config = config.with_values({"runtime.checkpoint_keyframes": 0, "runtime.save_at_end": False})
    if lockstep:
        config = config.with_values({"runtime.offline": True})
    # Both ends are in this process, so DDS stays off the network unless the user asks for it.
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    make_room_for_images()
    context = Context()
    start_ros([], context)
    try:
        options = {"lockstep": lockstep, "rate": float(rate), "progress": progress}
        return _run(context, reader, config, options, recorder, checkpoint)
    finally:
        context.try_shutdown()


def _run(
    context: Context,
    reader: FrameReader,
    config: Config,
    options: dict[str, Any],
    recorder: RunObserver | None,
    checkpoint: Path | None,
) -> ReplayOutcome:
    options["map_frame"] = config.frames.map
    options["camera_frame"] = config.frames.camera or "camera_optical_frame"
    given = [Parameter(name, value=value) for name, value in options.items()]
    slam = SlamNode(context, overrides(config), recorder)
    try:
        player = DatasetPlayer(reader, context, given)
        try:
            with SpinThread(slam), SpinThread(player):
                _refuse_company(player)
                start = time.monotonic()
                interrupted, failure = _play(player, slam, options["lockstep"])
                wall_s = time.monotonic() - start
        finally:
            player.destroy_node()
        tracking = slam.pipeline.tracking
        return ReplayOutcome(
            frames=slam.camera_input.frames,
            keyframes=slam.mapped,
            dropped=slam.worker.dropped,
            problems=slam.diagnostics.problems.totals(),
            cloud=slam.pipeline.surfels.snapshot(),
            map_hash=slam.pipeline.surfels.state_hash(),
            wall_s=wall_s,
            interrupted=interrupted,
            failure=failure,
            checkpoint=_saved(slam, checkpoint),
            landmarks=None if tracking is None else tracking.landmarks(),
        )
    finally:
        slam.close(save=False)
        slam.destroy_node()


def _saved(slam: SlamNode, path: Path | None) -> Path | E2ESlamError | None:
    """Write the checkpoint; return its path or the error."""
    if path is None or slam.config.tracking.localize_only or not len(slam.pipeline.surfels):
        return None
    try:
        return slam.saver.save_checkpoint(path)
    except E2ESlamError as error:
        return error


def _refuse_company(player: DatasetPlayer) -> None:
    """Raise if another player or SLAM node is in the domain.

    Each would take the other's frames. A process that was killed is still announced until its
    lease ends, so what may be its remains is waited for.
    """
    time.sleep(_DISCOVERY_S)
    deadline = time.monotonic() + _LEASE_S
    for topic in ("camera/image_raw", "processed"):
        while (count := player.count_publishers(topic)) > 1 and time.monotonic() < deadline:
            time.sleep(_DISCOVERY_S)
        if count > 1:
            raise E2ESlamError.from_parts(
                f"topic {player.resolve_topic_name(topic)}",
                f"{count} publishers in ROS domain {player.context.get_domain_id()}",
                "this run alone",
                "end the other run or choose another ROS_DOMAIN_ID",
            )


def _play(
    player: DatasetPlayer, slam: SlamNode, lockstep: bool
) -> tuple[bool, E2ESlamError | None]:
    """Play to the end and let the mapping finish.

    Returns whether Ctrl-C ended the replay, and the error that ended it, or None.
    """
    interrupted, failure = False, None
    try:
        player.play()
        if not lockstep:
            _settle(slam)
        slam.worker.drain(_DRAIN_S)
    except KeyboardInterrupt:
        interrupted = True
        player.stop()
    except Exception as error:
        if slam.mapped == 0:
            raise
        # The result so far is worth more than the exception.
        failure = error if isinstance(error, E2ESlamError) else E2ESlamError(repr(error))
    # No thread may change the map while it is read.
    slam.worker.stop()
    return interrupted, failure


def _settle(slam: SlamNode) -> None:
    """Wait until no more frames arrive and no frame is in progress."""
    deadline = time.monotonic() + _SETTLE_S
    quiet_since, frames = time.monotonic(), -1
    while time.monotonic() < deadline:
        if slam.camera_input.frames != frames:
            quiet_since, frames = time.monotonic(), slam.camera_input.frames
        if (
            time.monotonic() - quiet_since > 0.2
            and not slam.camera_input.acknowledger.open_stamps()
        ):
            return
        time.sleep(0.02)
