"""TensorBoard where it is installed, a sentence or a refusal where it is not."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.tensorboard_log import open_tensorboard


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensorboard, whatever is installed."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if "tensorboard" in name:
            raise ImportError("No module named 'tensorboard'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.usefixtures("absent")
def test_without_tensorboard_it_is_said_once_or_refused(tmp_path: Path) -> None:
    said: list[str] = []
    board = open_tensorboard(tmp_path / "board", "auto", said.append)
    board.scalars(1, {"loss": 1.0})
    board.pictures(1, {"wall": torch.ones(3, 8, 8)})
    board.close()
    assert not board.is_on and len(said) == 1
    with pytest.raises(TrainingError, match="pip install tensorboard"):
        open_tensorboard(tmp_path / "board", "on", said.append)
    assert not open_tensorboard(tmp_path / "board", "off", said.append).is_on and len(said) == 1
    assert not (tmp_path / "board").exists()


def test_events_are_written_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="a training extra")
    board = open_tensorboard(tmp_path, "on", lambda _: None)
    board.scalars(1, {"loss": 1.0})
    board.pictures(1, {"wall": torch.ones(3, 8, 8)})
    board.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"loss" in written and b"wall" in written
