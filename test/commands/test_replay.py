"""`e2e-slam replay` without ROS: a stand-in drives the pipeline directly."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_slam_ros.cli import main
from e2e_slam_ros.commands import sequence
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.open import open_reader

Refused = Callable[..., str]
REPLAY = "e2e_slam_ros.nodes.replay"


def test_a_replay_writes_everything_and_prints_the_figures(
    data: Path, tmp_path: Path, replay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["replay", "--data", str(data), "--lockstep", "--rate", "2", "--out", str(out)]
    assert main(argv) == 0
    names = {"map.ply", "trajectory.txt", "config.yaml", "metrics.json", "report.html"}
    assert set(os.listdir(out)) == names
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["frames"] == 12
    assert metrics["surfels"] > 1000
    said = capsys.readouterr()
    assert "Surfels" in said.out
    assert str(out / "report.html") in said.out
    assert "12 frames" in said.err
    (call,) = replay.calls
    assert call["lockstep"] is True
    assert call["rate"] == 2.0
    assert call["config"].runtime.offline is True


def test_a_second_run_in_a_saved_map_is_judged_in_the_maps_frame(
    data: Path, tmp_path: Path, replay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["replay", "--data", str(data), "--out", str(first)]) == 0
    assert replay.calls[0]["checkpoint"] == first / "map.safetensors"
    frame = json.loads((first / "metrics.json").read_text())["trajectory"]["T_truth_map"]
    assert np.allclose(frame, np.eye(4))
    assert "map's frame" not in capsys.readouterr().out
    file = first / "map.safetensors"
    argv = ["replay", "--data", str(data), "--map", str(file), "--out", str(second)]
    assert main(argv) == 0
    assert replay.calls[1]["config"].runtime.start_map == str(file)
    assert "ATE in the map's frame" in capsys.readouterr().out
    trajectory = json.loads((second / "metrics.json").read_text())["trajectory"]
    assert trajectory["map_frame_ate_m"] == pytest.approx(0.0, abs=1e-9)


def test_settings_come_from_the_file_and_then_from_set(
    data: Path, tmp_path: Path, replay: Any
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("/**:\n  ros__parameters:\n    map: {distance_m: 0.07, angle_deg: 30.0}\n")
    out = tmp_path / "out"
    argv = ["replay", "--data", str(data), "--config", str(file), "--frames", "2:9"]
    argv += ["--set", "map.angle_deg=25", "--set", "depth.max_m=5", "--out", str(out)]
    assert main(argv) == 0
    config = replay.calls[0]["config"]
    assert (config.map.distance_m, config.map.angle_deg, config.depth.max_m) == (0.07, 25.0, 5.0)
    assert config.runtime.offline is False
    assert len(replay.calls[0]["reader"]) == 7
    assert Config.from_yaml((out / "config.yaml").read_text()) == config


def test_the_default_folder_is_named_by_the_time(
    data: Path, tmp_path: Path, replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "--data", str(data)]) == 0
    (run,) = (tmp_path / "out").iterdir()
    assert (run / "report.html").is_file()


def test_ctrl_c_during_a_replay_keeps_what_was_mapped(
    data: Path, tmp_path: Path, replay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    replay.interrupted = True
    assert main(["replay", "--data", str(data), "--out", str(tmp_path / "out")]) == 130
    assert (tmp_path / "out" / "map.ply").is_file()
    assert "interrupted" in capsys.readouterr().err


def test_a_player_that_fails_on_the_way_keeps_what_was_mapped(
    data: Path, tmp_path: Path, replay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    replay.failure = DataError("frame 7: unreadable")
    assert main(["replay", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert (tmp_path / "out" / "map.ply").is_file()
    assert "ended early: frame 7: unreadable" in capsys.readouterr().err


def test_ctrl_c_before_a_replay_ends_quietly(
    data: Path, tmp_path: Path, replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("e2e_slam_ros.commands.replay.open_sequence", interrupt)
    assert main(["replay", "--data", str(data), "--out", str(tmp_path / "out")]) == 130


@pytest.mark.parametrize("frames", ["5", "a:b", "1:2:3", "1.5:3", "", "500:600", "3:3"])
def test_frames_that_are_no_range_are_refused(
    frames: str, data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    text = refused("replay", "--data", data, "--frames", frames, "--out", tmp_path / "out")
    assert "frames" in text
    assert replay.calls == []


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("map.distanse_m=0.1", "map.distance_m"),
        ("map.distance_m=near", "a number"),
        ("map.angle_deg=95", "0 to 90"),
        ("map.max_surfels=1500.5", "a whole number"),
        ("map.max_surfels=inf", "a whole number"),
        ("map.angle_deg", "key=value"),
        ("depth.min_m=9", "depth.max_m"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_opened(
    assignment: str,
    words: str,
    tmp_path: Path,
    replay: Any,
    refused: Refused,
) -> None:
    out = tmp_path / "out"
    argv = ["replay", "--data", "/nowhere", "--set", assignment, "--out", out]
    assert words in refused(*argv)
    assert not out.exists()


def test_a_parameter_file_that_cannot_be_read_is_refused(
    data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    text = refused("replay", "--data", data, "--config", tmp_path / "none.yaml")
    assert "none.yaml" in text
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    assert main(["replay", "--data", str(data), "--config", str(broken)]) == 2


def test_missing_data_is_refused(tmp_path: Path, replay: Any, refused: Refused) -> None:
    for option in ("--data", "--bag"):
        text = refused("replay", option, tmp_path / "none", "--out", tmp_path / "out")
        assert "none" in text
        assert not (tmp_path / "out").exists(), "an empty folder is no result"


def test_an_unwritable_folder_is_refused_before_the_run(
    data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    out = data / "rgb.txt" / "out"
    assert "rgb.txt" in refused("replay", "--data", data, "--out", out)
    assert replay.calls == []


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf"])
def test_a_rate_that_is_none_is_refused(
    rate: str, data: Path, replay: Any, refused: Refused
) -> None:
    assert "above 0" in refused("replay", "--data", data, "--rate", rate)


def test_data_without_poses_is_refused(
    data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    (data / "groundtruth.txt").unlink()
    text = refused("replay", "--data", data, "--out", tmp_path / "out")
    assert "no groundtruth.txt" in text, "the reader's reason"


def test_poses_of_another_time_are_refused_with_the_readers_reason(
    data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    (data / "groundtruth.txt").write_text("900 0 0 0 0 0 0 1\n901 0 0 0 0 0 0 1\n")
    text = refused("replay", "--data", data, "--out", tmp_path / "out")
    assert "none is near an image's time" in text


def test_data_without_depth_is_mapped_from_motion(
    data: Path, tmp_path: Path, replay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "depth.txt").unlink()
    main(["replay", "--data", str(data), "--out", str(tmp_path / "out")])
    assert replay.calls[0]["config"].depth.source == "motion_stereo"
    said = capsys.readouterr().err
    assert "no depth.txt" in said and "depth from motion_stereo" in said


def test_sensor_depth_that_is_asked_for_and_not_there_is_refused(
    data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    (data / "depth.txt").unlink()
    argv = ["replay", "--data", data, "--out", tmp_path / "out", "--set", "depth.source=sensor"]
    text = refused(*argv)
    assert "depth.network.checkpoint" in text
    assert "depth.source=motion_stereo" in text
    assert "no depth.txt" in text


def test_weights_for_the_network_go_before_motion(data: Path, tmp_path: Path, replay: Any) -> None:
    (data / "depth.txt").unlink()
    argv = ["replay", "--data", str(data), "--out", str(tmp_path / "out")]
    main([*argv, "--set", "depth.network.checkpoint=/nowhere.safetensors"])
    assert replay.calls[0]["config"].depth.source == "network"


@pytest.mark.parametrize("source", ["tf", "odometry"])
def test_poses_that_the_player_does_not_publish_are_refused(
    source: str, data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    argv = ["--out", tmp_path / "out", "--set", f"pose.source={source}"]
    text = refused("replay", "--data", data, *argv)
    assert "set pose.source=topic" in text
    assert replay.calls == []
    assert not (tmp_path / "out").exists()


def test_a_run_that_mapped_nothing_has_failed_and_says_so(
    data: Path, tmp_path: Path, replay: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    replay.maps_nothing = True
    assert main(["replay", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert "nothing was mapped: depth: late (3)" in said.err
    assert "nothing was mapped" in said.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Nothing was mapped" in page
    assert "every keyframe was mapped" not in page


def test_a_replay_that_cannot_start_leaves_no_folder(
    data: Path, tmp_path: Path, replay: Any, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    def company(*_: object, **__: object) -> None:
        raise DataError("topic x: got 2 publishers, expected this run alone; end the other")

    monkeypatch.setattr(sys.modules[REPLAY], "run_replay", company)
    assert "2 publishers" in refused("replay", "--data", data, "--out", tmp_path / "a" / "b")
    assert sorted(os.listdir(tmp_path)) == ["data"]
    (tmp_path / "own").mkdir()
    refused("replay", "--data", data, "--out", tmp_path / "own")
    assert (tmp_path / "own").is_dir(), "not ours to remove"


@pytest.mark.parametrize("name", ["map.ply", "metrics.json"])
def test_an_earlier_run_is_not_overwritten(
    name: str, data: Path, tmp_path: Path, replay: Any, refused: Refused
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")
    text = refused("replay", "--data", data, "--out", out)
    assert f"{name} of an earlier run" in text
    assert os.listdir(out) == [name]
    assert (out / name).read_text() == "precious"
    assert replay.calls == []


def test_numbers_may_be_written_as_powers_of_ten(data: Path, tmp_path: Path, replay: Any) -> None:
    argv = ["replay", "--data", str(data), "--out", str(tmp_path / "out")]
    argv += ["--set", "map.max_surfels=1e4", "--set", "map.distance_m=5e-2"]
    argv += ["--set", "map.edge_ratio=1e-6", "--set", "publish.max_points=2e3"]
    assert main(argv) == 0
    config = replay.calls[0]["config"]
    assert (config.map.max_surfels, config.publish.max_points) == (10_000, 2_000)
    assert (config.map.distance_m, config.map.edge_ratio) == (0.05, 1e-6)


def demonstrate(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr(sequence, "demo_reader", lambda *_: open_reader(data))
    return main(["replay", "--demo", "--out", str(out), *more])


def test_the_demonstration_shows_images_alone_beside_depth_and_poses(
    data: Path,
    tmp_path: Path,
    replay: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert demonstrate(data, out, monkeypatch) == 0
    first, second = (call["config"] for call in replay.calls)
    assert (first.pose.source, first.depth.source) == ("topic", "sensor")
    assert (second.pose.source, second.depth.source) == ("visual", "network")
    assert second.runtime.offline and replay.calls[1]["lockstep"]
    page = (out / "comparison.html").read_text()
    for report in ("report.html", "images_alone/report.html"):
        assert f'href="{report}"' in page and (out / report).is_file()
    assert "could not be drawn" not in page
    assert str(out / "comparison.html") in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["pose.source=visual", "depth.source=motion_stereo"])
def test_a_demonstration_of_a_named_source_is_one_run(
    setting: str, data: Path, tmp_path: Path, replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    demonstrate(data, tmp_path / "out", monkeypatch, "--set", setting)
    assert len(replay.calls) == 1
    assert not (tmp_path / "out" / "comparison.html").exists()


def test_images_alone_that_map_nothing_leave_the_first_run_as_it_was(
    data: Path, tmp_path: Path, replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replay.run_replay

    def once(*given: Any, **options: Any) -> object:
        replay.maps_nothing = len(replay.calls) == 1
        return run(*given, **options)

    monkeypatch.setattr(sys.modules[REPLAY], "run_replay", once)
    assert demonstrate(data, tmp_path / "out", monkeypatch) == 2
    assert (tmp_path / "out" / "map.ply").is_file()
    assert not (tmp_path / "out" / "comparison.html").exists()


def test_without_ros_the_command_says_what_to_do(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setitem(sys.modules, REPLAY, None)
    text = refused("replay", "--data", data, "--out", tmp_path / "out")
    assert "rclpy" in text
    assert "setup.bash" in text
    assert not (tmp_path / "out").exists()
