"""The folder of a run: refused, made, taken away again, continued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e_slam_ros.config.errors import ConfigError, TrainingError
from e2e_slam_ros.training.run_folder import (
    RunFolder,
    earlier_folder,
    new_folder,
    refuse_changes,
)
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig


def test_a_folder_in_which_nothing_was_written_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "b") as folder:
        assert folder.path.is_dir()
        raise RuntimeError
    assert not (tmp_path / "a").exists()


def test_a_folder_with_a_run_is_refused_and_unharmed(tmp_path: Path) -> None:
    with new_folder(tmp_path / "run") as folder:
        folder.start(SCSfMConfig())
    before = {p.name: p.read_bytes() for p in folder.path.iterdir()}
    with pytest.raises(TrainingError, match="--resume"), new_folder(tmp_path / "run"):
        pass
    assert {p.name: p.read_bytes() for p in folder.path.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="a writable folder"), new_folder(tmp_path / "file/x"):
        pass


def test_a_run_is_continued_with_its_own_settings(tmp_path: Path) -> None:
    config = SCSfMConfig().with_values({"seed": 5})
    RunFolder(tmp_path).start(config)
    folder, found = earlier_folder(tmp_path, SCSfMConfig)
    assert found == config and folder.path == tmp_path
    refuse_changes(found, config.with_values({"threads": 3}))
    with pytest.raises(TrainingError, match="another seed than"):
        refuse_changes(found, SCSfMConfig())


def test_a_folder_without_a_run_cannot_be_continued(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no readable config\.yaml"):
        earlier_folder(tmp_path, SCSfMConfig)
    (tmp_path / "config.yaml").write_text("seed: x")
    with pytest.raises(ConfigError):
        earlier_folder(tmp_path, SCSfMConfig)


def test_lines_past_the_state_are_forgotten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.forget_after(3)
    for step in (2, 4, 6):
        folder.log({"step": step})
    with folder.metrics.open("a") as stream:
        stream.write('{"step"')  # the process was killed
    folder.forget_after(4)
    lines = folder.metrics.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4]
