"""Device names."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.config.errors import ConfigError


def test_auto_is_the_gpu_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", "", "cuda:99"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="runtime.device: got"):
        resolve_device(name)
