"""Evidence of walks as a training set: recorded once, kept as files, read when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.training.correction.earlier_correction import earlier_correction, weights_digest
from e2e_slam_ros.training.correction.evidence import (
    EvidenceSizes,
    KeyframeEvidence,
    read_evidence,
    read_sizes,
    write_evidence,
)
from e2e_slam_ros.training.correction.evidence_recording import record_evidence
from e2e_slam_ros.training.correction.walk_frames import WalkFrames
from e2e_slam_ros.training.data.parallel_rendering import render_each
from e2e_slam_ros.training.data.rendered_file import cache_folder

# Changes whenever the same settings would give other evidence.
_RECIPE = "evidence 1"
_STREAM = 79


class AnyWalk(Protocol):
    """A walk with known depth; it can be pickled.

    >>> from e2e_slam_ros.training.correction.recorded_walk import RecordedWalk
    >>> hasattr(RecordedWalk, "frames"), hasattr(RecordedWalk, "name")  # fulfils the protocol
    (True, True)
    """

    def name(self, recipe: str) -> str:
        """Return the beginning of its file's name; other settings and recipes have others."""
        ...

    def frames(self) -> WalkFrames:
        """Return its frames, always the same ones."""
        ...


@dataclass(frozen=True)
class RecordingConditions:
    """How evidence is recorded and where it is kept.

    Attributes:
        folder: of the files.
        correct_with: weights that correct depth meanwhile; "": none.
        correct_share: share of the walks that are recorded with them.

    >>> RecordingConditions.of("evidence").folder.name
    'evidence'
    """

    folder: Path
    correct_with: str = ""
    correct_share: float = 0.0

    @classmethod
    def of(
        cls, cache: str, correct_with: str = "", correct_share: float = 0.0
    ) -> RecordingConditions:
        """Return those of a configuration; no ``cache`` is the user's."""
        return cls(cache_folder(cache, "evidence"), correct_with, correct_share)

    def path(self, walk: AnyWalk) -> Path:
        """Return the file of a walk.

        Raises:
            DepthError: the weights cannot be read.
        """
        recipe = _RECIPE
        if self.correct_with:
            recipe += f" {weights_digest(self.correct_with)} {self.correct_share}"
        return self.folder / f"{walk.name(recipe)}.npz"

    def record(self, walk: AnyWalk) -> None:
        """Record a walk into its file."""
        path = self.path(walk)
        seed = int(hashlib.sha256(path.name.encode()).hexdigest()[:12], 16)
        corrected = self.correct_with and Dice(seed, _STREAM).chance(self.correct_share)
        correction = earlier_correction(self.correct_with) if corrected else None
        write_evidence(path, record_evidence(walk.frames(), correction))


class EvidenceSet:
    """The evidence of walks, by the number of the walk and of the keyframe.

    Args:
        walks: with known depth.
        conditions: how they are recorded.

    >>> len(EvidenceSet([], RecordingConditions.of("")))
    0
    """

    def __init__(self, walks: Sequence[AnyWalk], conditions: RecordingConditions) -> None:
        self._walks, self._conditions = list(walks), conditions
        self._sizes: dict[int, EvidenceSizes] = {}
        self.folder = conditions.folder

    def __len__(self) -> int:
        return len(self._walks)

    def missing(self) -> list[int]:
        """Return the numbers of the walks that have no file yet.

        Raises:
            DepthError: the weights that correct depth cannot be read.
            DataError: the archive of furniture cannot be read.
        """
        return [number for number in range(len(self)) if not self._path(number).is_file()]

    def render_missing(self, progress: bool = False, processes: int = 1) -> int:
        """Record every walk that has no file yet and return how many there were.

        It can be interrupted: finished walks stay. About 15 seconds for 30 images on one core.

        Args:
            processes: how many to use, each with one thread.

        Raises:
            TrainingError: a process died.
            E2ESlamError: frames or weights cannot be read, files cannot be written.
        """
        numbers = self.missing()
        record = partial(_record, self._walks, self._conditions)
        render_each(record, numbers, "walk", processes, progress)
        return len(numbers)

    def sizes(self, walk: int) -> EvidenceSizes:
        """Return the sizes of a walk's evidence; a missing or damaged file is recorded.

        Raises:
            E2ESlamError: as `render_missing`.
        """
        if walk not in self._sizes:
            path = self._path(walk)
            try:
                self._sizes[walk] = read_sizes(path)
            except TrainingError:
                self._conditions.record(self._walks[walk])
                self._sizes[walk] = read_sizes(path)
        return self._sizes[walk]

    def evidence(self, walk: int, index: int) -> KeyframeEvidence:
        """Return that of a keyframe; a walk whose file is damaged is recorded.

        Raises:
            IndexError: no such keyframe.
            E2ESlamError: as `render_missing`.
        """
        if not 0 <= index < self.sizes(walk).count:
            raise IndexError(f"keyframe {index} of {self.sizes(walk).count}")
        try:
            return read_evidence(self._path(walk), index)
        except TrainingError:
            self._conditions.record(self._walks[walk])
            return read_evidence(self._path(walk), index)

    def _path(self, walk: int) -> Path:
        return self._conditions.path(self._walks[walk])


def _record(walks: Sequence[AnyWalk], conditions: RecordingConditions, number: int) -> None:
    conditions.record(walks[number])
