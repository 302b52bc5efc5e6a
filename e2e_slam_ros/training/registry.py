"""The tasks of ``e2e-slam train``: one entry for each, and a recipe of settings to begin with."""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from e2e_slam_ros.config.errors import ConfigError

if TYPE_CHECKING:
    from e2e_slam_ros.training.config import TrainConfig
    from e2e_slam_ros.training.task import Task

# Module and class of each task; its recipe is recipes/<name>.yaml with "_" for "-". Texts, because
# the command line lists the names without loading torch.
TASKS: dict[str, str] = {
    "sc-sfm": "e2e_slam_ros.training.sc_sfm.task:SCSfMTask",
    "dro": "e2e_slam_ros.training.dro.task:DroTask",
    "deepv2d": "e2e_slam_ros.training.deepv2d.task:DeepV2DTask",
    "coopnet": "e2e_slam_ros.training.coopnet.task:CoopNetTask",
    "correction": "e2e_slam_ros.training.correction.task:CorrectionTask",
}


def task_type(name: str) -> type[Task[Any]]:
    """Return the class of a task.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in TASKS:
        raise ConfigError.from_parts(
            "training task", repr(name), "one of " + ", ".join(TASKS), "choose one of these"
        )
    module, _, found = TASKS[name].partition(":")
    kind: type[Task[Any]] = getattr(import_module(module), found)
    return kind


def recipe_config(name: str) -> TrainConfig:
    """Return the settings that a task begins with: the defaults, changed by its recipe.

    Raises:
        ConfigError: there is no task of this name.
    """
    kind = task_type(name)
    recipe = files("e2e_slam_ros.training") / "recipes" / (name.replace("-", "_") + ".yaml")
    return kind.config_type.from_yaml(recipe.read_text(encoding="utf-8"))
