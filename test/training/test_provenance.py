"""What trained weights say of themselves."""

from __future__ import annotations

import pytest

from e2e_slam_ros.training.provenance import provenance
from e2e_slam_ros.training.registry import TASKS, task_type
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig

# Texts without a choice of values that are no paths.
_NO_PATHS = ("device", "frames")


def test_weights_name_files_but_not_the_folders_of_one_machine() -> None:
    config = SCSfMConfig().with_values(
        {
            "data.labelled.paths": "/home/somebody/walk_1, /data/walk_2",
            "data.procedural.cache": "/scratch/rooms",
            "seed": 7,
        }
    )
    facts = provenance(config, steps=10, trained_s=2.4, device="cpu")
    assert (
        "somebody" not in facts["config"]
        and "/" not in SCSfMConfig.from_yaml(facts["config"]).data.procedural.cache
    )
    kept = SCSfMConfig.from_yaml(facts["config"])
    assert kept.data.labelled.paths == "walk_1,walk_2"
    assert kept.seed == 7 and facts["seed"] == "7"
    assert facts["steps"] == "10" and facts["trained_s"] == "2"


@pytest.mark.parametrize("task", sorted(TASKS))
def test_no_setting_of_any_task_leaves_a_folder_in_the_weights(task: str) -> None:
    config = task_type(task).config_type()
    texts = [
        info.name
        for info in config.settings()
        if isinstance(info.default, str)
        and not info.choices
        and info.name.rsplit(".", 1)[-1] not in _NO_PATHS
    ]
    assert texts
    elsewhere = config.with_values({name: "/home/somebody/file" for name in texts})
    named = [
        name for name in texts if "somebody" in str(elsewhere.without_folders().values()[name])
    ]
    assert not named, f"add these to {type(config).__name__}.paths"
