"""`e2e-slam make-scene`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.cli import main
from e2e_slam_ros.commands import demo, rendering
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.simulation import ProceduralReader

Refused = Callable[..., str]


def test_a_scene_is_written_that_can_be_read_and_repeats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = []
    for name in ("a", "b"):
        out = tmp_path / name
        argv = ["make-scene", "--out", str(out), "--seed", "3", "--frames", "3"]
        assert main([*argv, "--width", "64", "--height", "48", "--device", "cpu"]) == 0
        assert capsys.readouterr().out == f"{out}\n"
        reader = TumReader(out)
        assert len(reader) == 3
        first = reader[0]
        assert first.depth is not None
        assert first.T_map_camera is not None
        assert first.image.shape == (48, 64, 3)
        images.append(first.image)
    assert np.array_equal(images[0], images[1])


def test_scenes_of_no_size_are_refused(tmp_path: Path, refused: Refused) -> None:
    for size in ("--frames", "--width", "--height"):
        assert size in refused("make-scene", "--out", tmp_path / "x", size, "0")


def test_a_folder_in_use_is_refused_before_anything_is_rendered(
    data: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(*_: object) -> None:
        raise AssertionError("rendered for nothing")

    monkeypatch.setattr(ProceduralReader, "__getitem__", render)
    small = ["--frames", "1", "--width", "64", "--height", "48", "--device", "cpu"]
    assert "recording" in refused("make-scene", "--out", data, *small)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """torch's threads during each rendering; the test itself has two."""
    seen: list[int] = []
    render = ProceduralReader._render_around

    def watched(reader: ProceduralReader, index: int) -> None:
        seen.append(torch.get_num_threads())
        render(reader, index)

    monkeypatch.setattr(ProceduralReader, "_render_around", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield seen
    torch.set_num_threads(before)


def test_a_scene_is_rendered_by_one_thread_and_the_setting_restored(
    tmp_path: Path, threads: list[int]
) -> None:
    argv = ["make-scene", "--out", str(tmp_path / "x"), "--frames", "2", "--device", "cpu"]
    assert main([*argv, "--width", "64", "--height", "48"]) == 0
    assert threads == [1, 1]
    assert torch.get_num_threads() == 2


def test_the_demonstrations_scene_is_rendered_by_one_thread(
    threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_SCENE_FRAMES", 2)
    assert len(demo.built_in_scene()) == 2
    assert threads == [1, 1]
    assert torch.get_num_threads() == 2


def test_the_demonstrations_scene_covers_metres(monkeypatch: pytest.MonkeyPatch) -> None:
    def unrendered(reader: FrameReader) -> list[object]:
        assert isinstance(reader, ProceduralReader)
        steps = np.diff(reader.T_map_camera.numpy()[:, :3, 3], axis=0)
        assert np.linalg.norm(steps, axis=1).sum() > 5.0
        return []

    monkeypatch.setattr(demo, "rendered", unrendered)
    demo.built_in_scene()


def test_without_a_terminal_lines_tell_how_far_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "_LINE_EVERY", 2)
    argv = ["make-scene", "--out", str(tmp_path / "x"), "--frames", "5", "--device", "cpu"]
    assert main([*argv, "--width", "64", "--height", "48"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "rendered" in line]
    assert lines == [f"rendered {n} of 5 frames" for n in (2, 4, 5)]
