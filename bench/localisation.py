"""The camera found in a saved map: share of images, time to the first pose, error.

    python bench/localisation.py --shared ../shared/data --rooms 3

One part of a recording makes the map, which is saved and loaded again. Another part is localised
in it, in lock-step on one thread, and nothing is added to the map. Errors are those of positions
in the map's frame: the recorded poses are aligned with the map's own keyframes, never with the
path that is judged. "One image" asks for every image anew where the camera is, without a past.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.evaluation.trajectory.alignment import Similarity, umeyama
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.simulation.trajectory import smooth_trajectory
from e2e_slam_ros.slam.keyframe_depth import keyframe_depth
from e2e_slam_ros.tracking.map_state import StateDict, from_state
from e2e_slam_ros.tracking.offline import DepthOf, track_sequence
from e2e_slam_ros.tracking.visual_tracker import VisualTracker

_HEAD = (
    "| map | localised | depth | keyframes | kB a keyframe | map's own error m "
    "| frames with a pose % | first pose s | RMSE m | largest m | one image: found % | RMSE m |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
)
_OTHER_PATH = 1000  # added to a room's seed for the second path through it


@dataclass(frozen=True)
class Case:
    """One recording, and the frames that make the map and that are localised."""

    name: str
    reader: FrameReader
    mapped: range
    localised: range
    reader_2: FrameReader | None = None


def main() -> None:
    """Run all cases and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--only", action="append", default=[], help="recording; may be repeated")
    parser.add_argument("--rooms", type=int, default=0, help="rendered rooms")
    parser.add_argument("--mono", action="store_true", help="the network's depth, not measured")
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config = Config().with_assignments(options.assignments)
    config = config.with_values({"depth.source": "network" if options.mono else "sensor"})
    depth_of = keyframe_depth(config, torch.device("cpu"))
    print("\n".join(_HEAD), flush=True)
    for case in _cases(options.shared, options.rooms):
        if not options.only or any(case.name.startswith(name) for name in options.only):
            print(_row(case, config.tracking, depth_of), flush=True)
    print(f"\n{machine_line('cpu')}")


def _cases(shared: Path, rooms: int) -> Iterable[Case]:
    rpy = open_reader(shared / "tum" / "rgbd_dataset_freiburg1_rpy_excerpt")
    yield Case("fr1_rpy", rpy, range(150), range(150, len(rpy)))
    walk = open_reader(shared / "hololens" / "rooms_000")
    yield Case("rooms_000", walk, range(0, 250, 2), range(249, 0, -2))
    yield Case("rooms_000", walk, range(250), range(249, 186, -1))
    yield Case("rooms_000", walk, range(187), range(187, 250))
    for seed in range(rooms):
        first, second = ProceduralReader(seed, 200), ProceduralReader(seed, 100)
        second.T_map_camera = smooth_trajectory(second.scene, 100, 30.0, seed + _OTHER_PATH)
        yield Case(f"room {seed}", first, range(200), range(100), second)


def _frames(reader: FrameReader, chosen: range) -> Iterable[Frame]:
    """Yield frames in any order, with stamps that go up."""
    step = 100_000_000 if "rooms" in reader.name else 33_000_000
    for place, index in enumerate(chosen):
        yield replace(reader[index], index=place, stamp_ns=10**9 + place * step)


def _row(case: Case, config: TrackingConfig, depth_of: DepthOf | None) -> str:
    tracker, true = VisualTracker(config), {}

    def watched() -> Iterable[Frame]:
        for one in _frames(case.reader, case.mapped):
            true[one.stamp_ns] = one.T_map_camera
            yield one

    track_sequence(watched(), tracker, depth_of)
    state = tracker.state_dict()
    to_true, own = _alignment(state, true)
    size = sum(t.numel() * t.element_size() for t in state.values())
    count = len(state["keyframe.stamp_ns"])
    localising = VisualTracker(replace(config, localize_only=True))
    localising.load(from_state(state), state)
    frames = list(_frames(case.reader_2 or case.reader, case.localised))
    found = track_sequence(frames, localising, depth_of)
    has = np.isfinite(found.online[:, 0, 0])
    errors = _errors(found.online, frames, to_true)
    first = (frames[int(has.argmax())].stamp_ns - frames[0].stamp_ns) * 1e-9 if has.any() else None
    alone = _one_by_one(localising, frames)
    alone_errors = _errors(alone, frames, to_true)
    cells = [
        f"{case.name} {_words(case.mapped)}",
        "another path" if case.reader_2 else _words(case.localised),
        "sensor" if depth_of is None else "network",
        str(count),
        f"{size / count / 1e3:.0f}",
        f"{own:.3f}",
        f"{100 * has.mean():.1f}",
        "-" if first is None else f"{first:.2f}",
        _rms(errors),
        f"{errors.max():.3f}" if len(errors) else "-",
        f"{100 * np.isfinite(alone[:, 0, 0]).mean():.1f}",
        _rms(alone_errors),
    ]
    return "| " + " | ".join(cells) + " |"


def _alignment(state: StateDict, true: dict[int, np.ndarray | None]) -> tuple[Similarity, float]:
    """Return the motion from the map to the recording by the map's keyframes, and its error."""
    stamps = state["keyframe.stamp_ns"].tolist()
    poses = state["keyframe.T_map_camera"].numpy()
    known = [i for i, stamp in enumerate(stamps) if true[stamp] is not None]
    mine = poses[known, :3, 3]
    theirs = np.stack([true[stamps[i]][:3, 3] for i in known])
    found = umeyama(mine, theirs, with_scale=False)
    off = np.linalg.norm(found.apply(mine) - theirs, axis=1)
    return found, float(np.sqrt((off**2).mean()))


def _errors(poses: np.ndarray, frames: list[Frame], to_true: Similarity) -> np.ndarray:
    known = [
        i
        for i, one in enumerate(frames)
        if np.isfinite(poses[i, 0, 0]) and one.T_map_camera is not None
    ]
    if not known:
        return np.zeros(0)
    true = np.stack([frames[i].T_map_camera[:3, 3] for i in known])
    return np.linalg.norm(to_true.apply(poses[known, :3, 3]) - true, axis=1)


def _one_by_one(tracker: VisualTracker, frames: list[Frame]) -> np.ndarray:
    poses = np.full((len(frames), 4, 4), np.nan)
    for i, one in enumerate(frames):
        tracker.look()
        found = tracker.track(replace(one, depth=None)).T_map_camera
        if found is not None:
            poses[i] = found
    return poses


def _rms(errors: np.ndarray) -> str:
    return f"{np.sqrt((errors**2).mean()):.3f}" if len(errors) else "-"


def _words(chosen: range) -> str:
    step = "" if abs(chosen.step) == 1 else f", every {abs(chosen.step)}nd"
    back = " backwards" if chosen.step < 0 else ""
    return f"{min(chosen)}-{max(chosen)}{step}{back}"


if __name__ == "__main__":
    main()
