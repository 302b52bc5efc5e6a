"""Walks through recordings: their passes, and recordings that cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.config.errors import DataError, TrainingError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.sequence import WrappedReader
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.training.correction import recorded_walk
from e2e_slam_ros.training.correction.evidence_config import RecordedEvidenceConfig
from e2e_slam_ros.training.correction.evidence_recording import record_evidence
from e2e_slam_ros.training.correction.recorded_walk import recorded_walks


class WithoutDepth(WrappedReader):
    """The same frames, without depth."""

    def __getitem__(self, index: int) -> Frame:
        return replace(self._reader[index], depth=None)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> ProceduralReader:
    """A recording of 12 frames under the name "desk"."""
    reader = ProceduralReader(3, 12, 96, 72, rate_hz=3.0, texture_size=64)
    monkeypatch.setattr(recorded_walk, "_opened", lambda path: reader)
    return reader


def test_passes_have_other_steps_and_go_backwards(desk: ProceduralReader) -> None:
    config = RecordedEvidenceConfig(paths="desk", frames="1:11", passes=5, most_step=2, length=4)
    taken = [range(walk.first, walk.stop, walk.step) for walk in recorded_walks(config)]
    assert [list(part) for part in taken[:3]] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [list(part) for part in taken[3:5]] == [[1, 3, 5, 7], [9]]
    backwards = [index for part in taken[-3:] for index in part]
    assert backwards == list(range(10, 0, -1))
    names = {walk.name("recipe") for walk in recorded_walks(config)}
    assert len(names) == len(taken)


def test_a_pass_backwards_has_rising_stamps(desk: ProceduralReader) -> None:
    config = RecordedEvidenceConfig(paths="desk", passes=8, most_step=1)
    last = recorded_walks(config)[-1]
    frames = list(last.frames().frames)
    assert last.step == -1 and len(frames) == 12
    assert all(a.stamp_ns < b.stamp_ns for a, b in zip(frames[:-1], frames[1:], strict=True))
    assert frames[0].depth is not None and desk[11].depth is not None
    assert np.array_equal(frames[0].depth, desk[11].depth)
    moved = np.abs(frames[0].T_map_camera - desk[11].T_map_camera).max()
    assert 0 < moved < 0.03


def test_one_style_is_dark(desk: ProceduralReader) -> None:
    walks = recorded_walks(RecordedEvidenceConfig(paths="desk", passes=3, most_step=1))
    usual, dark = (next(iter(walks[number].frames().frames)) for number in (0, 2))
    assert dark.image.mean() == pytest.approx(0.35 * usual.image.mean(), rel=0.1)


def test_a_recording_gives_evidence(desk: ProceduralReader) -> None:
    config = RecordedEvidenceConfig(paths="desk", passes=1, length=6)
    walk = recorded_walks(config)[0]
    assert len(record_evidence(walk.frames())) > 0


def test_a_recording_without_depth_is_refused(
    desk: ProceduralReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_walk, "_opened", lambda path: WithoutDepth(desk))
    with pytest.raises(TrainingError, match="no frame with depth and pose.*another recording"):
        recorded_walks(RecordedEvidenceConfig(paths="desk"))


def test_recordings_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"recorded\.paths.*weight=0"):
        recorded_walks(RecordedEvidenceConfig(weight=1.0))
    with pytest.raises(DataError, match="none"):
        recorded_walks(RecordedEvidenceConfig(paths=str(tmp_path / "none")))
