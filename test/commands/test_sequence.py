"""What a run plays, and what that offers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e_slam_ros.commands import demo, sequence
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.tum import TumReader


def test_the_demonstration_prefers_a_recording_and_else_renders(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("e2e_slam_ros.data.download.download_tum", lambda *_, **__: data)
    assert len(sequence.open_sequence(None, None)) == 12

    def offline(*_: object, **__: object) -> Path:
        raise DataError("no network")

    monkeypatch.setattr("e2e_slam_ros.data.download.download_tum", offline)
    monkeypatch.setattr(demo, "_SCENE_FRAMES", 2)
    reader = sequence.open_sequence(None, None)
    assert (len(reader), reader[1].index) == (2, 1)
    assert "no network" in capsys.readouterr().err


def test_unreadable_frames_do_not_hide_what_a_sequence_has(data: Path) -> None:
    for name in sorted(os.listdir(data / "rgb"))[:4]:
        (data / "rgb" / name).write_bytes(b"no image")
    offer = sequence.look_at(TumReader(data))
    assert offer.has_depth
    assert offer.has_pose
    assert 0 < offer.looked_at < 8
    for name in os.listdir(data / "rgb"):
        (data / "rgb" / name).write_bytes(b"no image")
    with pytest.raises(DataError, match="no readable frame"):
        sequence.look_at(TumReader(data))
