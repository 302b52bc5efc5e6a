"""Keyframes, landmarks, and the landmarks that keyframes have in common."""

from __future__ import annotations

from itertools import chain

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.bundle import BundleSolution
from e2e_slam_ros.tracking.bundle_problem import BundleProblem, shapes_alone
from e2e_slam_ros.tracking.edges import whiteners
from e2e_slam_ros.tracking.landmarks import Ids, Landmarks
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.misplacement import misplaced_angle
from e2e_slam_ros.tracking.pose_priors import PosePriors
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe

# Observations farther off than this, in standard deviations, are dropped after an adjustment.
_OUTLIER = 3.5
# As many given poses hold a map where no keyframe is fixed.
_FEWEST_PRIORS = 3
# Depth is found by comparing a keyframe with about so many others around it.
_NEIGHBOURS = 6


class LocalMap:
    """The tracker's map.

    Attributes:
        keyframes: list in the order of their index.
        landmarks: all landmarks by id.
        fixed: number of keyframes, the first ones, that never move: they were loaded from a file.
        fixed_landmarks: number of landmarks, the first ones, that never move.

    Example:
        >>> local_map, image = LocalMap(), np.zeros((48, 64), np.uint8)
        >>> pixels = np.array([[20.0, 20.0], [40.0, 20.0]])
        >>> ids = local_map.landmarks.add(pixels, anchor=0)
        >>> for index in range(2):
        ...     seen = Observations.without_depth(ids[index:], pixels[index:], pixels[index:])
        ...     local_map.add(TrackingKeyframe(index, 0, 0, image, np.eye(4), np.zeros(3), seen))
        >>> keyframes, counts = local_map.covisible(ids)
        >>> keyframes.tolist(), counts.tolist()
        ([0, 1], [2, 1])
    """

    def __init__(self) -> None:
        self.keyframes: list[TrackingKeyframe] = []
        self.landmarks = Landmarks()
        self.fixed = self.fixed_landmarks = 0

    def hold(self) -> None:
        """Fix all present keyframes and landmarks: they are those of a loaded map."""
        self.fixed, self.fixed_landmarks = len(self.keyframes), len(self.landmarks)

    def forget_new(self) -> None:
        """Forget all keyframes and landmarks that are not fixed."""
        for keyframe in self.keyframes[self.fixed :]:
            old = keyframe.seen.ids < self.fixed_landmarks
            self.landmarks.forget(keyframe.seen.ids[old], keyframe.index)
        del self.keyframes[self.fixed :]
        self.landmarks.shorten(self.fixed_landmarks)

    def add(self, keyframe: TrackingKeyframe) -> None:
        """Add a keyframe and its observations."""
        self.keyframes.append(keyframe)
        self.landmarks.observe(keyframe.seen.ids, keyframe.index)

    def see(self, keyframe: TrackingKeyframe, more: Observations) -> None:
        """Add observations to a keyframe."""
        keyframe.seen = keyframe.seen.with_more(more)
        self.landmarks.observe(more.ids, keyframe.index)

    def unsee(self, keyframe: TrackingKeyframe, gone: np.ndarray) -> None:
        """Remove the observations of a mask (M,) from a keyframe."""
        self.landmarks.forget(keyframe.seen.ids[gone], keyframe.index)
        keyframe.seen = keyframe.seen.chosen(~gone)

    def covisible(self, ids: Ids) -> tuple[Ids, Ids]:
        """Return the keyframes that see any of the landmarks and their counts, highest first."""
        observers = self.landmarks.observers
        every = np.fromiter(chain.from_iterable(observers(i) for i in ids.tolist()), np.int64)
        keyframes, counts = np.unique(every, return_counts=True)
        order = np.lexsort((-keyframes, -counts))
        return keyframes[order], counts[order]

    def problem(
        self,
        moving: list[int],
        fixed: int,
        lens: Lens,
        pixel_sigma: float,
        readout: bool = False,
        per_keyframe: int | None = None,
    ) -> tuple[BundleProblem, list[int], Ids] | None:
        """Return the bundle problem of some keyframes, held by others with common landmarks.

        Args:
            moving: keyframes to adjust.
            fixed: largest number of other keyframes, which do not move.
            lens: of all keyframes.
            pixel_sigma: standard deviation of a corner, pixels.
            readout: estimate the shutter's readout time too.
            per_keyframe: use this many landmarks of each keyframe, those seen most often, and
                landmarks that others use; None: all.

        Returns:
            The problem, the keyframe of each of its cameras and the id of each landmark; None
            when nothing is seen twice or nothing holds the rest.
        """
        moving = [k for k in moving if k >= self.fixed]
        if not moving:
            return None
        seen = np.unique(
            np.concatenate([self._often_seen(self.keyframes[k], per_keyframe) for k in moving])
        )
        seen = seen[self.landmarks.known(seen)]
        seen = seen[self.landmarks.observer_counts(seen) > 1]
        if len(seen) < 6:
            return None
        others = [int(k) for k in self.covisible(seen)[0] if int(k) not in set(moving)]
        cameras = sorted(others[:fixed]) + sorted(moving)
        free = np.array([k in set(moving) for k in cameras])
        priors = self._priors(cameras, free)
        if free.all() and (priors is None or len(priors.camera) < _FEWEST_PRIORS):
            free[0] = False
            priors = self._priors(cameras, free)
        if not free.any():
            return None
        lookup = np.full(len(self.landmarks), -1)
        lookup[seen] = np.arange(len(seen))
        parts = []
        for position, k in enumerate(cameras):
            keyframe = self.keyframes[k]
            point = lookup[keyframe.seen.ids]
            use = (point >= 0) & np.isfinite(keyframe.seen.ideal).all(1)
            parts.append(
                (np.full(int(use.sum()), position), point[use], keyframe.seen.chosen(use))
            )
        edge, slope = self.landmarks.edge, None
        if readout:
            slope = np.concatenate(
                [
                    lens.row_slope(seen_there.pixels, seen_there.ideal, self.keyframes[k].turning)
                    for k, (_, _, seen_there) in zip(cameras, parts, strict=True)
                ]
            )
        problem = BundleProblem(
            T_camera_map=rigid.inverse(
                np.stack([self.keyframes[k].T_map_camera for k in cameras])
            ),
            free=free,
            points=self.landmarks.position[seen].copy(),
            camera_of=np.concatenate([part[0] for part in parts]),
            point_of=np.concatenate([part[1] for part in parts]),
            pixels=np.concatenate([part[2].ideal for part in parts]),
            inverse_depth=np.concatenate([part[2].inverse_depth for part in parts]),
            inverse_depth_sigma=np.concatenate([part[2].inverse_depth_sigma for part in parts]),
            focal=lens.focal,
            centre=lens.centre,
            pixel_sigma=pixel_sigma,
            row_slope=slope,
            priors=priors,
            whitener=whiteners(
                [
                    (self.keyframes[k].image, seen_there.pixels, edge[seen_there.ids])
                    for k, (_, _, seen_there) in zip(cameras, parts, strict=True)
                ]
            ),
        )
        given = np.array([self.keyframes[k].given is not None for k in cameras])
        if given.any():
            problem = shapes_alone(problem, given)
        return problem, cameras, seen

    def _priors(self, cameras: list[int], free: npt.NDArray[np.bool_]) -> PosePriors | None:
        """Return the given poses of free cameras, and the given motions that end at one."""
        priors, before = PosePriors.none(), -1
        for position, k in enumerate(cameras):
            given = self.keyframes[k].given
            if given is None:
                before = -1
                continue
            if free[position]:
                if np.isfinite(given.sigma.position_m):
                    priors = priors.with_pose(
                        position, rigid.inverse(given.T_map_camera), given.sigma.of_pose
                    )
                earlier = self.keyframes[cameras[before]].given if before >= 0 else None
                if earlier is not None:
                    motion = rigid.inverse(earlier.T_map_camera) @ given.T_map_camera
                    sigma = given.sigma.of_motion(motion)
                    priors = priors.with_motion(before, position, motion, sigma)
            before = position
        return priors if len(priors.camera) + len(priors.first) else None

    def accept(
        self, problem: BundleProblem, solution: BundleSolution, cameras: list[int], ids: Ids
    ) -> int:
        """Store adjusted poses and points, drop outliers; return the number of dropped ones."""
        left_out = np.ones(len(self.landmarks), np.bool_)
        left_out[ids] = left_out[: self.fixed_landmarks] = False
        for position in np.flatnonzero(problem.free).tolist():
            keyframe = self.keyframes[cameras[position]]
            T_before_map = rigid.inverse(keyframe.T_map_camera)
            keyframe.T_map_camera = rigid.orthonormal(
                rigid.inverse(solution.T_camera_map[position])
            )
            # Landmarks that nothing else has seen yet stay where this keyframe sees them.
            alone = keyframe.seen.ids[left_out[keyframe.seen.ids]]
            self.landmarks.position[alone] = rigid.transform_points(
                keyframe.T_map_camera @ T_before_map, self.landmarks.position[alone]
            )
            keyframe.adjusted = True
        free = ids >= self.fixed_landmarks
        self.landmarks.position[ids[free]] = solution.points[free]
        self._state_errors(problem, solution, cameras)
        return self.drop_outliers(problem, solution, cameras, ids)

    def _state_errors(
        self, problem: BundleProblem, solution: BundleSolution, cameras: list[int]
    ) -> None:
        """Note how far errors of the adjusted poses misplace points, see `misplaced_angle`."""
        covariance = solution.pose_covariance
        for position in np.flatnonzero(problem.free).tolist():
            keyframe = self.keyframes[cameras[position]]
            depth_m = self.median_depth(keyframe)
            near = sorted(range(len(cameras)), key=lambda k: abs(cameras[k] - keyframe.index))
            others = near[1 : 1 + _NEIGHBOURS]
            if others and depth_m > 0.0:
                keyframe.sigma_rad = misplaced_angle(
                    solution.T_camera_map, problem.free, covariance, position, others, depth_m
                )

    def drop_outliers(
        self, problem: BundleProblem, solution: BundleSolution, cameras: list[int], ids: Ids
    ) -> int:
        """Drop the observations that contradict a solution; return their number."""
        dropped = 0
        outlier = solution.pixel_error > _OUTLIER
        for position, k in enumerate(cameras):
            if k < self.fixed:
                continue
            bad = ids[problem.point_of[(problem.camera_of == position) & outlier]]
            if len(bad):
                keyframe = self.keyframes[k]
                self.unsee(keyframe, np.isin(keyframe.seen.ids, bad))
                dropped += len(bad)
        return dropped

    def merge(self, kept: int, other: int) -> None:
        """Move the observations of landmark ``other`` to ``kept``: both are the same point."""
        if other < self.fixed_landmarks:
            return
        mine = set(self.landmarks.observers(kept))
        for k in list(self.landmarks.observers(other)):
            keyframe = self.keyframes[k]
            row = keyframe.seen.ids == other
            if k in mine:
                self.unsee(keyframe, row)
            else:
                keyframe.seen.ids = np.where(row, kept, keyframe.seen.ids)
                self.landmarks.observers(other).remove(k)
                self.landmarks.observe(np.array([kept]), k)
        self.landmarks.alive[other] = False

    def _often_seen(self, keyframe: TrackingKeyframe, most: int | None) -> Ids:
        ids = keyframe.seen.ids
        if most is None or len(ids) <= most:
            return ids
        counts = self.landmarks.observer_counts(ids)
        return ids[np.lexsort((ids, -counts))[:most]]

    def median_depth(self, keyframe: TrackingKeyframe) -> float:
        """Return the median depth of the known landmarks a keyframe sees, metres; 0 for none."""
        ids = keyframe.seen.ids[self.landmarks.known(keyframe.seen.ids)]
        if not len(ids):
            return 0.0
        T_camera_map: Floats = rigid.inverse(keyframe.T_map_camera)
        points = rigid.transform_points(T_camera_map, self.landmarks.position[ids])
        return float(np.median(points[:, 2]))
