"""The thread in which given poses are refined, so that no image waits for the ones before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.slam.carried_pose import CarriedPose
from e2e_slam_ros.slam.pose_tracking import PoseTracking
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.state import TrackedPose

Matrix = npt.NDArray[np.float64]
# Images that may wait; of more the oldest is left out, if it is not going to be mapped.
_MOST = 6


@dataclass(eq=False)
class TrackerJob:
    """A frame to be tracked.

    Attributes:
        frame: the image.
        prior: its given pose; or None.
        mapped: keyframes of this frame that are in the map already, with their depth.
        is_chosen: it is going to be mapped.

    Example:
        >>> from e2e_slam_ros.simulation import ProceduralReader
        >>> TrackerJob(ProceduralReader(0, 1, 32, 24, texture_size=32)[0], None).is_chosen
        False
    """

    frame: Frame
    prior: GivenPose | None
    mapped: list[tuple[Keyframe, torch.Tensor]] = field(default_factory=list)
    is_chosen: bool = False


class TrackerThread:
    """Builds a tracker and gives it frames in order, in a thread of its own.

    All but `settle` is called by one thread, the one that receives images. Offline there is no
    thread: a frame is tracked when it is submitted, so that equal input gives equal poses.

    Args:
        build: returns the tracker; may take a second where it loads a network.
        offline: work at once in the caller's thread.
        on_error: called with an error that cost a frame its pose.

    Attributes:
        tracking: the tracker; None until it is built.

    Example:
        >>> from e2e_slam_ros.config import Config
        >>> from e2e_slam_ros.simulation import ProceduralReader
        >>> config = Config().with_values({"runtime.offline": True})
        >>> thread = TrackerThread(lambda: PoseTracking(config, None), True, print)
        >>> frame = ProceduralReader(0, 1, 160, 120, texture_size=256)[0]
        >>> thread.submit(TrackerJob(frame, None))
        >>> thread.answer(frame.stamp_ns, None).keyframe
        0
    """

    def __init__(
        self,
        build: Callable[[], PoseTracking],
        offline: bool,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._build = build
        self._on_error = on_error
        self.tracking: PoseTracking | None = None
        # Held while the tracker works on a frame.
        self._at_work = threading.RLock()
        self._condition = threading.Condition()
        # The first one is at work. Guarded by the condition, as the last answer is.
        self._jobs: list[TrackerJob] = []
        self._last: TrackedPose | None = None
        self._carried = CarriedPose()
        self._stopping = False
        self._thread: threading.Thread | None = None
        if offline:
            self.tracking = build()
        else:
            self._thread = threading.Thread(target=self._run, name="refinement", daemon=True)
            self._thread.start()

    def submit(self, job: TrackerJob) -> None:
        """Have a frame tracked; never waits, but offline."""
        if self._thread is None:
            self._jobs = [job]
            self._work(job)
            return
        with self._condition:
            if not self._thread.is_alive():
                return
            self._jobs.append(job)
            free = [one for one in self._jobs[1:-1] if not (one.is_chosen or one.mapped)]
            if len(self._jobs) > _MOST and free:
                self._jobs.remove(free[0])
            self._condition.notify_all()

    def answer(self, stamp_ns: int, patience_s: float | None) -> TrackedPose | None:
        """Return the newest frame's tracked pose; None: it takes longer than ``patience_s``.

        Args:
            stamp_ns: of the frame.
            patience_s: longest wait, seconds; None: until it is there.
        """
        with self._condition:
            self._condition.wait_for(lambda: not self._waits(stamp_ns), patience_s)
            last = self._last
        return last if last is not None and last.stamp_ns == stamp_ns else None

    def settle(self, stamp_ns: int, patience_s: float) -> None:
        """Wait until a frame is tracked, no longer than ``patience_s``; at once if it is."""
        with self._condition:
            self._condition.wait_for(lambda: not self._waits(stamp_ns), patience_s)

    def carried(self, stamp_ns: int, prior: GivenPose) -> Matrix:
        """Return the last tracked pose (4, 4) carried on to an image with a given pose."""
        with self._condition:
            return self._carried.at(stamp_ns, prior.T_map_camera)

    def chosen(self, frame: Frame) -> None:
        """Learn that the newest frame is going to be mapped."""
        with self._condition:
            for job in self._jobs:
                if job.frame.stamp_ns == frame.stamp_ns:
                    job.is_chosen = True
                    return
        with self._at_work:
            if self.tracking is not None:
                self.tracking.chosen(frame)

    def restart(self, T_map_camera: Matrix | None = None) -> None:
        """Forget what waits and what the tracker knows; begin at a pose (4, 4) if there is one."""
        with self._condition:
            self._jobs = self._jobs[:1] if self._thread is not None else []
        with self._at_work:
            with self._condition:
                self._jobs, self._last, self._carried = [], None, CarriedPose()
                self._condition.notify_all()
            if self.tracking is not None:
                self.tracking.reset()
                if T_map_camera is not None:
                    self.tracking.begin_at(T_map_camera)

    def close(self) -> None:
        """End the threads."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(10.0)
        if self.tracking is not None:
            self.tracking.close()

    def _waits(self, stamp_ns: int) -> bool:
        alive = self._thread is None or self._thread.is_alive()
        return alive and any(job.frame.stamp_ns == stamp_ns for job in self._jobs)

    def _run(self) -> None:
        """Build the tracker, then track frames in turn (own thread)."""
        try:
            self.tracking = self._build()
        except Exception as error:
            self._on_error(error)
            return
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._jobs or self._stopping)
                if self._stopping:
                    return
                job = self._jobs[0]
            self._work(job)

    def _work(self, job: TrackerJob) -> None:
        tracked: TrackedPose | None = None
        with self._at_work:
            assert self.tracking is not None
            try:
                tracked = self.tracking.track(job.frame, job.prior)
            except Exception as error:
                # One bad frame must not end the thread: nothing would be refined any more.
                self._on_error(error)
            with self._condition:
                if job in self._jobs:
                    self._jobs.remove(job)
                    self._note(job, tracked)
                is_chosen = job.is_chosen or bool(job.mapped)
                self._condition.notify_all()
            # The pose is out: what follows delays no image.
            try:
                self.tracking.finish()
                if is_chosen:
                    self.tracking.chosen(job.frame)
                for keyframe, depth in job.mapped:
                    self.tracking.mapped(keyframe, depth)
            except Exception as error:
                self._on_error(error)

    def _note(self, job: TrackerJob, tracked: TrackedPose | None) -> None:
        self._last = tracked
        if tracked is not None and tracked.T_map_camera is not None and job.prior is not None:
            stamp_ns, given = job.frame.stamp_ns, job.prior.T_map_camera
            self._carried.found(stamp_ns, given, tracked.T_map_camera)
