"""Two processes: they end with the same weights, and those depend on both processes' data."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.training.distributed import Group, group_of_environment

_ONE_PROCESS = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
sys.path[:0] = [{repo!r}, {test!r}]
torch.set_num_threads(1)
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.distributed import group_of_environment, joined
from training.conftest import Walls
from training.running import Run
group = group_of_environment()
config = SCSfMConfig().with_values({{
    "width": 64, "height": 64, "tensorboard": "off", "log_every": 1, "encoder_weights": "none",
    "pretraining.steps": 2, "pretraining.batch_size": 2,
    "self_supervision.steps": 1, "self_supervision.batch_size": 2,
}})
with joined(group, torch.device("cpu")):
    run = Run(config, Walls(), Path({out!r}) / "run", group=group)
    outcome = run.trainer.run()
    assert outcome.step == 3 and not outcome.skipped
    tensors = {{n: v.contiguous().clone() for n, v in run.learner.tensors().items()}}
    save_file(tensors, Path({out!r}) / f"rank{{group.rank}}.safetensors")
"""


def test_two_processes_end_with_equal_weights(tmp_path: Path) -> None:
    repo = Path(__file__).resolve().parents[2]
    script = tmp_path / "process.py"
    script.write_text(
        _ONE_PROCESS.format(repo=str(repo), test=str(repo / "test"), out=str(tmp_path))
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ends = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(ends)
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert [p.name for p in (tmp_path / "run" / "state").iterdir()] == [
        "step_00000003.safetensors"
    ]
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert group_of_environment() == Group()
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(ConfigError, match="0 to WORLD_SIZE - 1"):
        group_of_environment()
    monkeypatch.setenv("RANK", "three")
    with pytest.raises(ConfigError, match="start with torchrun"):
        group_of_environment()
