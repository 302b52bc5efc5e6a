"""Walks through a recording with depth and poses, with the errors of four styles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError, TrainingError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.training.correction.evidence_config import RecordedEvidenceConfig
from e2e_slam_ros.training.correction.walk_frames import WalkFrames, moved
from e2e_slam_ros.training.data.rendered_file import fingerprint

_STREAM = 78
# The recorded stamps would run backwards where the frames do.
_START_NS, _INTERVAL_NS = 10**12, 10**8
# So many frames of a recording are looked at, about, before it is walked.
_PROBED = 20
# Light that is left in the dark, and the noise there, in grey levels.
_DARK, _DARK_NOISE = 0.35, 2.5


@dataclass(frozen=True)
class PassStyle:
    """The errors of one pass through a recording.

    Attributes:
        pose_m, pose_deg: standard deviation of the poses, metres and degrees.
        disturbance: of the network's depth, see `DisturbedDepth`.
        dark: the images are dark and noisy.

    >>> PASS_STYLES[2].dark
    True
    """

    pose_m: float
    pose_deg: float
    disturbance: float
    dark: bool = False


PASS_STYLES = (
    PassStyle(0.0, 0.0, 0.2),
    PassStyle(0.002, 0.0573, 0.28),
    PassStyle(0.0, 0.0, 0.24, dark=True),
    PassStyle(0.004, 0.1146, 0.14),
)


@dataclass(frozen=True)
class RecordedWalk:
    """A part of one pass through a recording; always the same.

    Attributes:
        path: of the recording.
        first, stop, step: its frames, as of `range`; a step < 0 goes backwards.
        style: number of one of `PASS_STYLES`.

    >>> walk = RecordedWalk("desk", 49, -1, -1, style=0)
    >>> walk.name("recipe").startswith("recorded_")
    True
    """

    path: str
    first: int
    stop: int
    step: int
    style: int

    def name(self, recipe: str) -> str:
        """Return a name that no other walk has."""
        return f"recorded_{fingerprint(self, recipe)}_{self.first}"

    def frames(self) -> WalkFrames:
        """Return its frames; those that cannot be read are left out.

        Raises:
            DataError: the recording cannot be opened.
        """
        style = PASS_STYLES[self.style]
        dice = Dice(int(fingerprint(self, "dice"), 16), stream=_STREAM)
        return WalkFrames(self._seen(_opened(self.path), style, dice), style.disturbance, dice)

    def _seen(self, reader: FrameReader, style: PassStyle, dice: Dice) -> Iterator[Frame]:
        for number, index in enumerate(range(self.first, self.stop, self.step)):
            try:
                frame = reader[index]
            except DataError:
                continue
            frame = moved(frame, style.pose_m, style.pose_deg, dice)
            image = _darkened(frame.image, dice) if style.dark else frame.image
            stamp = _START_NS + number * _INTERVAL_NS
            yield replace(frame, index=number, stamp_ns=stamp, image=image)


def recorded_walks(config: RecordedEvidenceConfig) -> list[RecordedWalk]:
    """Return the walks through all recordings.

    Raises:
        DataError: a recording cannot be opened, or has no such frames.
        TrainingError: there is a weight and no recording, or one without depth or poses.

    >>> recorded_walks(RecordedEvidenceConfig())
    []
    """
    paths = [path.strip() for path in config.paths.split(",") if path.strip()]
    if config.weight > 0 and not paths:
        raise TrainingError.from_parts(
            "recorded.paths", "none", "recordings with depth and poses", "name one or set weight=0"
        )
    start, stop = parse_frames(config.frames)
    walks: list[RecordedWalk] = []
    for path in paths:
        reader = _opened(path)
        _require_truth(FrameSlice(reader, start, stop))
        first, last, _ = slice(start, stop).indices(len(reader))
        for number in range(config.passes):
            walks += _pass(path, range(first, last), number, config)
    return walks


def _require_truth(frames: FrameSlice) -> None:
    """Refuse a recording of which no frame has depth and pose, as far as a few of them tell."""
    for index in range(0, len(frames), max(1, len(frames) // _PROBED)):
        try:
            frame = frames[index]
        except DataError:
            continue
        if frame.depth is not None and frame.T_map_camera is not None:
            return
    raise TrainingError.from_parts(
        f"recording {frames.name}",
        "no frame with depth and pose",
        "frames with both",
        "choose another recording or other frames",
    )


def _pass(
    path: str, frames: range, number: int, config: RecordedEvidenceConfig
) -> Iterator[RecordedWalk]:
    """Yield the walks of one pass: four go forwards, four backwards, and so on."""
    step = 1 + number % config.most_step
    backwards = number // len(PASS_STYLES) % 2 == 1
    taken = frames[::-step] if backwards else frames[::step]
    for begin in range(0, len(taken), config.length):
        part = taken[begin : begin + config.length]
        yield RecordedWalk(path, part.start, part.stop, part.step, number % len(PASS_STYLES))


@lru_cache(maxsize=4)
def _opened(path: str) -> FrameReader:
    return open_reader(Path(path).expanduser())


def _darkened(image: npt.NDArray[np.uint8], dice: Dice) -> npt.NDArray[np.uint8]:
    noise = _DARK_NOISE * dice.randn(*image.shape).numpy()
    dark = np.clip(_DARK * image + noise, 0, 255)
    return dark.astype(np.uint8)
