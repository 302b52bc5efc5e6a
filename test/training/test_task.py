"""A task that the loop has never seen trains, resumes, validates and exports through it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from e2e_slam_ros.cli import main
from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.weights_file import read_metadata
from e2e_slam_ros.training import registry
from e2e_slam_ros.training.run import train
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.state import load_last_state
from e2e_slam_ros.training.task import RunContext
from training.running import context_of
from training.toy_task import ShiftBatch, ShiftedViews, ToyConfig, ToyTask


def settings(**values: object) -> ToyConfig:
    always = {
        "tensorboard": "off",
        "log_every": 1,
        "evaluate_every": 1,
        "fine.steps": 4,
        "seed": 2,
    }
    return ToyConfig().with_values({**always, **values})


class Stopped(ToyTask):
    """A signal comes while the batch of step 5 is made."""

    def build_data(self) -> Mapping[str, ShiftedViews]:
        class Stopping(ShiftedViews):
            def batch(self, step: int, rank: int) -> ShiftBatch:
                if step == 5:
                    os.kill(os.getpid(), signal.SIGTERM)
                return super().batch(step, rank)

        return {name: Stopping(s.count, s.seed) for name, s in super().build_data().items()}


def test_it_learns_and_says_what_its_weights_are(tmp_path: Path) -> None:
    config = settings(**{"coarse.steps": 40})
    outcome = train(ToyTask(config, context_of()), RunFolder(tmp_path), None, context_of())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    errors = [line["validation"]["error"] for line in lines if "validation" in line]
    assert len(errors) == 44 and errors[-1] == outcome.validation["error"] < 0.5 * errors[0]
    stages = [
        (line["stage"], line.keys() & set(ToyTask.terms)) for line in lines if "loss" in line
    ]
    assert stages == [("coarse", {"coarse_error"})] * 40 + [("fine", {"fine_error"})] * 4
    facts = read_metadata(tmp_path / "weights.safetensors")
    assert (facts["architecture"], facts["seed"], facts["steps"]) == ("shift_net", "2", "44")
    assert ToyConfig.from_yaml(facts["config"]) == config
    best = float(read_metadata(tmp_path / "best.safetensors")["validation.error"])
    assert best == pytest.approx(min(errors), abs=1e-4)


def test_it_goes_on_exactly_where_it_stopped(tmp_path: Path) -> None:
    context, config = context_of(), settings(prefetch=0)
    train(ToyTask(config, context), RunFolder(tmp_path / "straight"), None, context)
    folder = RunFolder(tmp_path / "run")
    outcome = train(Stopped(config, context), folder, None, context)
    assert outcome.interrupted and outcome.step == 6
    state = load_last_state(folder.states)
    assert not train(ToyTask(config, context), folder, state, context).interrupted
    for name in ("weights.safetensors", "best.safetensors"):
        one, two = (load_file(tmp_path / run / name) for run in ("straight", "run"))
        assert one.keys() == two.keys() and all(torch.equal(v, two[n]) for n, v in one.items())
    states = [load_last_state(tmp_path / run / "state") for run in ("straight", "run")]
    assert states[0] is not None and states[1] is not None
    for name, value in states[0].tensors.items():
        assert torch.equal(value, states[1].tensors[name]), name


class Fickle(Stopped):
    """Its figure is smallest after the third step that it takes."""

    def __init__(self, config: ToyConfig, context: RunContext) -> None:
        super().__init__(config, context)
        self.figures = iter([5.0, 4.0, 1.0, 3.0, 2.0, 6.0])

    def validate(self, result: nn.Module) -> dict[str, float]:
        return {"error": next(self.figures)}


def test_the_best_weights_stay_the_best_when_a_run_goes_on(tmp_path: Path) -> None:
    context, config, folder = context_of(), settings(prefetch=0), RunFolder(tmp_path)
    assert train(Fickle(config, context), folder, None, context).step == 6
    assert read_metadata(folder.best_weights)["steps"] == "3"
    state = load_last_state(folder.states)
    assert state is not None and state.best == 1.0
    assert train(Fickle(config, context), folder, state, context).step == 8
    assert read_metadata(folder.best_weights)["steps"] == "3"
    assert read_metadata(folder.weights)["steps"] == "8"


def test_networks_of_another_width_and_no_steps_are_refused(tmp_path: Path) -> None:
    context, folder = context_of(), RunFolder(tmp_path)
    train(ToyTask(settings(), context), folder, None, context)
    state = load_last_state(folder.states)
    with pytest.raises(TrainingError, match="those of shift_net"):
        train(ToyTask(settings(width=3), context), folder, state, context)
    with pytest.raises(TrainingError, match=r"coarse\.steps and fine\.steps"):
        idle = settings(**{"coarse.steps": 0, "fine.steps": 0})
        train(ToyTask(idle, context), folder, None, context)


def test_one_entry_makes_it_a_task_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "toy_shift.yaml").write_text("fine: {steps: 3}\ntensorboard: off\n")
    monkeypatch.setattr(registry, "files", lambda _: tmp_path)
    monkeypatch.setitem(registry.TASKS, "toy-shift", "training.toy_task:ToyTask")
    assert main(["train", "toy-shift", "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["fine"]["steps"] == 3
    out = tmp_path / "run"
    assert main(["train", "toy-shift", "--out", str(out), "--device", "cpu"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "weights.safetensors")
    assert read_metadata(out / "weights.safetensors")["steps"] == "7"
    assert main(["train", "toy-shift", "--out", str(out), "--resume"]) == 0
