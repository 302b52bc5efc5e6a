"""The tasks of the command line and their recipes."""

from __future__ import annotations

import pytest

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.training.registry import TASKS, recipe_config, task_type
from e2e_slam_ros.training.schedule import stages_of


@pytest.mark.parametrize("name", TASKS)
def test_every_recipe_is_valid_and_does_something(name: str) -> None:
    config = recipe_config(name)
    assert stages_of(config) and type(config) is task_type(name).config_type


def test_a_task_that_is_none_is_refused() -> None:
    assert "sc-sfm" in TASKS
    with pytest.raises(ConfigError, match="one of .*sc-sfm"):
        recipe_config("monodepth")
