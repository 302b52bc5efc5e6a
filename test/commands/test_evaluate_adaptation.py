"""The evaluate command's pair and online protocols: what they write, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.cli import main
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.tum_writer import TumWriter
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import save_weights
from synthetic import CAMERA
from textured_wall import textured_frames

Refused = Callable[..., str]
METRICS = {"abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3", "pixels"}


def write(folder: Path, frames: list[Frame]) -> Path:
    with TumWriter(folder, CAMERA) as writer:
        for frame in frames:
            writer.write(frame)
    return folder


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("wall") / "data", textured_frames(6))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    return save_weights(build_network("efficientnet_lite2").eval(), path, {}, half=False)


def argv(protocol: str, data: Path, *more: object) -> list[str]:
    words = ["evaluate", "--protocol", protocol, "--data", data, *more]
    return [str(word) for word in words]


def poor(protocol: str, data: Path, *more: object) -> list[str]:
    return argv(protocol, data, "--start", "poor", "--set", "refine.scale.source=fixed", *more)


def small(weights: Path) -> list[str]:
    sizes = [f"{name}={side}" for name in ("width", "height") for side in (64,)]
    values = [f"depth.network.checkpoint={weights}", "refine.scale.source=groundtruth_median"]
    for size in sizes:
        values += [f"depth.network.{size}", f"refine.network.{size}"]
    return [word for value in values for word in ("--set", value)]


def test_pair_adapts_the_network_by_default(
    wall: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "new" / "pair.json", tmp_path / "pictures"
    line = argv("pair", wall, "--every", 5, *small(weights), "--json", file, "--out", folder)
    assert main(line) == 0
    found = json.loads(file.read_text())
    assert (found["protocol"], found["data"], found["keyframes"]) == ("pair", "data", 1)
    assert (found["strategy"], found["steps"], found["source"]) == ("network", 25, "network")
    assert found["scale"] == "groundtruth_median"
    for place in (found, found["textured"], found["untextured"]):
        for name in ("before", "after", "before_median_scaled", "after_median_scaled"):
            assert place[name] is None or set(place[name]) == METRICS
    assert set(found["before"]) == METRICS
    assert found["worse_than_5pct"] in (0, 1) and found["rolled_back"] in (0, 1)
    assert found["refused"] == {} and found["seconds_per_keyframe"] > 0.0
    assert found["weights"]["architecture"] == "efficientnet_lite2"
    assert "cores" in found["machine"]
    names = ["before_after.png", "keyframes.png", "report.html", "table.md"]
    assert sorted(p.name for p in folder.iterdir()) == names
    assert (folder / "table.md").read_text().startswith("### pair, data")
    text = capsys.readouterr().out
    for words in ("before", "aligned", "after", "motion stereo", "network strategy", str(file)):
        assert words in text


def test_online_measures_what_is_forgotten(wall: Path, weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "online.json"
    assert main(argv("online", wall, "--every", 2, *small(weights), "--json", file)) == 0
    found = json.loads(file.read_text())
    assert (found["protocol"], found["steps"], found["keyframes"]) == ("online", 5, 3)
    assert set(found["forgetting"]["original"]) == METRICS
    assert set(found["forgetting"]["adapted"]) == METRICS
    assert found["refused"] == {"no sources": 1}


@pytest.mark.parametrize("protocol", ["pair", "online"])
def test_a_poor_start_needs_no_weights(wall: Path, tmp_path: Path, protocol: str) -> None:
    file, table = tmp_path / "f.json", tmp_path / "new" / "t.md"
    more = ("--set", "refine.steps=15", "--every", 1, "--json", file, "--markdown", table)
    assert main(poor(protocol, wall, *more)) == 0
    found = json.loads(file.read_text())
    assert (found["source"], found["strategy"], found["steps"]) == ("poor", "output", 15)
    assert found["after"]["abs_rel"] < 0.8 * found["before"]["abs_rel"]
    assert (found["weights"], found["forgetting"]) == (None, None)
    assert "| after |" in table.read_text()


def test_waiting_keeps_what_it_needs_in_the_map(wall: Path, tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    more = ("--set", "refine.steps=2", "--set", "refine.wait_keyframes=1", "--json", file)
    assert main(poor("online", wall, "--every", 1, *more)) == 0
    assert json.loads(file.read_text())["wait_keyframes"] == 1


@pytest.mark.parametrize("protocol", ["pair", "online"])
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--frames", "2:3"], "at least 2"),
        (["--frames", "40:50"], "a range within the 6 frames"),
        (["--every", "0"], "1 or more"),
        (["--start", "good"], "one of: source, poor"),
        (["--set", "refine.strategy=network"], "no network to adapt"),
        (["--set", "refine.stepps=3"], "refine.steps"),
        (["--baselines", "."], "leave it out"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(
    wall: Path, refused: Refused, tmp_path: Path, protocol: str, more: list[str], words: str
) -> None:
    file, folder = tmp_path / "f.json", tmp_path / "out"
    line = argv(protocol, wall, "--json", file, "--out", folder)
    start = [] if "--start" in more else ["--start", "poor"]
    assert words in refused(*line, *start, *more)
    assert not file.exists() and not folder.exists()


def test_the_depth_protocol_refuses_their_options(wall: Path, refused: Refused) -> None:
    for more in (("--every", 2), ("--start", "poor"), ("--markdown", "x.md")):
        assert "--protocol pair or online" in refused(*argv("depth", wall, *more))


def test_settings_that_measure_nothing_are_refused(wall: Path, refused: Refused) -> None:
    assert "refine.strategy" in refused(*argv("pair", wall, "--set", "refine.strategy=none"))
    assert "depth.source" in refused(*argv("pair", wall, "--set", "depth.source=sensor"))
    text = refused(
        *argv("pair", wall, "--set", "depth.source=motion_stereo"),
        *("--set", "refine.strategy=network"),
    )
    assert "depth.source: network" in text


@pytest.mark.parametrize("protocol", ["pair", "online"])
def test_sequences_that_lack_something_are_refused(
    tmp_path: Path, refused: Refused, protocol: str
) -> None:
    frames = textured_frames(3)
    flat = write(tmp_path / "flat", [dataclasses.replace(f, depth=None) for f in frames])
    assert "depth images" in refused(*poor(protocol, flat))
    lost = write(tmp_path / "lost", [dataclasses.replace(f, T_map_camera=None) for f in frames])
    assert "camera poses" in refused(*poor(protocol, lost))
    assert "nowhere" in refused(*poor(protocol, tmp_path / "nowhere"))


def test_outputs_that_cannot_be_written_are_refused_first(
    wall: Path, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("kept")
    monkeypatch.setattr(
        "e2e_slam_ros.evaluation.adaptation.pair_protocol.PairProtocol.run",
        lambda *_: pytest.fail("worked before it looked at the outputs"),
    )
    for option in ("--json", "--markdown", "--out"):
        text = refused(*poor("pair", wall, option, in_the_way / "below"))
        assert "a folder that can be written" in text
    assert "the name of a file" in refused(*poor("pair", wall, "--json", tmp_path))
    assert in_the_way.read_text() == "kept"
