"""Saved states: what is read is what was written, and damage is survived or named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.state import TrainingState, load_last_state, save_state


def state(step: int) -> TrainingState:
    weights = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    tensors = {"a": weights, "b": weights, "n": torch.tensor(step)}
    return TrainingState(step, 1, "seed: 3\n", 2, 1, 4.5, tensors, {"scale": 8.0})


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = state(7)
    save_state(tmp_path / "state", written)
    read = load_last_state(tmp_path / "state")
    assert read is not None
    assert (read.step, read.world, read.config, read.skipped) == (7, 1, "seed: 3\n", 2)
    assert (read.skipped_in_row, read.trained_s, read.scaler) == (1, 4.5, {"scale": 8.0})
    assert all(torch.equal(read.tensors[n], v) for n, v in written.tensors.items())


def test_the_newest_readable_one_of_the_last_two_is_taken(tmp_path: Path) -> None:
    assert load_last_state(tmp_path) is None
    paths = [save_state(tmp_path, state(step)) for step in (9, 10, 100)]
    assert [path.exists() for path in paths] == [False, True, True]
    paths[2].write_bytes(paths[2].read_bytes()[:50])
    read = load_last_state(tmp_path)
    assert read is not None and read.step == 10
    paths[1].write_bytes(b"")
    with pytest.raises(TrainingError, match="2 damaged file"):
        load_last_state(tmp_path)


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="expected"):
        save_state(tmp_path / "file", state(1))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
