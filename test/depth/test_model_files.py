"""What the small files beside a model say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from depth.foreign_models import picture, write_preparation
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.depth.image_preparation import ImagePreparation, read_preparation
from e2e_slam_ros.depth.model_files import licence_in, licence_notices
from e2e_slam_ros.depth.network_output import NetworkOutput, chosen_output


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# Model", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: own\n---\n", "own"),
        ("---\ntags: [a]\n---\nlicense: mit\n", ""),
        ("# license: mit", ""),
        ("---\nlicense: [", ""),
        ("---\n- license\n---", ""),
        ("---", ""),
        ("", ""),
    ],
)
def test_the_licence_of_a_card(tmp_path: Path, card: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert licence_in(tmp_path) == licence


def test_no_card_or_no_text(tmp_path: Path) -> None:
    assert licence_in(tmp_path) == ""
    (tmp_path / "README.md").write_bytes(b"---\xff\xfe---")
    assert licence_in(tmp_path) == ""


@pytest.mark.parametrize("licence", ["cc-by-nc-4.0", "CC-BY-NC-SA-3.0", "cc_by_nc"])
def test_licences_against_commercial_use(tmp_path: Path, licence: str) -> None:
    (notice,) = licence_notices(tmp_path, licence)
    assert licence in notice and "not for commercial use" in notice


def test_only_large_networks_without_a_licence_are_warned_of(tmp_path: Path) -> None:
    assert licence_notices(tmp_path, "") == licence_notices(tmp_path, "bsd-3-clause", True) == ()
    assert "CC-BY-NC-4.0" in licence_notices(tmp_path, "", large=True)[0]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "depth_anything"}, "shifted_inverse_depth"),
        ({"model_type": "depth_anything", "depth_estimation_type": "metric"}, "metres"),
        ({"model_type": "new", "depth_estimation_type": "relative"}, "shifted_inverse_depth"),
        ({"model_type": "dpt"}, "shifted_inverse_depth"),
        ({"model_type": "zoedepth"}, "metres"),
    ],
)
def test_what_models_say_they_predict(config: dict[str, object], expected: str) -> None:
    assert chosen_output("auto", config, Path("model")).value == expected
    assert chosen_output("depth", config, Path("model")) is NetworkOutput.DEPTH


@pytest.mark.parametrize("config", [{}, {"model_type": "new"}, {"depth_estimation_type": 3}])
def test_models_that_do_not_say_it(config: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="depth.network.output: got auto with model, which"):
        chosen_output("auto", config, Path("model"))


@pytest.mark.parametrize("output", NetworkOutput)
def test_disparity_is_positive_and_nan_stays(output: NetworkOutput) -> None:
    values = torch.tensor([-1.0, 0.0, 1e-9, 0.5, 20.0, 1e9, float("nan")])
    disparity = output.disparity(values)
    assert bool((disparity[:-1] > 0).all()) and bool(disparity[-1].isnan())
    inverse = output in (NetworkOutput.INVERSE_DEPTH, NetworkOutput.SHIFTED_INVERSE_DEPTH)
    assert float(disparity[3]) == (0.5 if inverse else 2.0)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (518, 686)), ((640, 480), (686, 518)), ((64, 64), (518, 518))],
)
def test_sizes_keep_the_aspect_ratio(size: tuple[int, int], expected: tuple[int, int]) -> None:
    preparation = ImagePreparation((518, 518), keep_aspect_ratio=True, multiple=14)
    assert preparation.input_size(*size) == expected


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("size", [(96, 64), (33, 7), (1, 1)])
def test_restoring_undoes_the_preparation(reflect: bool, size: tuple[int, int]) -> None:
    preparation = ImagePreparation(
        (128, 192), reflect=reflect, mean=(0.0,) * 3, std=(1.0,) * 3, resample="bilinear"
    )
    image = picture(*size)
    prepared = preparation.prepare(image)
    assert prepared.shape == (1, 3, 128, 192)
    back = preparation.restore(prepared[:, :1], size[1], size[0])
    assert back.shape == (1, 1, size[1], size[0])
    # ZoeDepth's publishers sample with corners aligned, and back without.
    assert float((back - image[:, :1]).abs().mean()) < (0.05 if reflect else 0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_processor_type": "BitImageProcessor"},
        {"do_center_crop": True},
        {"do_pad": True},
        {"resample": 1},
        {"size": {"shortest_edge": 70}},
        {"size": {"height": 0, "width": 70}},
        {"size": "large"},
        {"size": 100_000},
        {"image_mean": [0.5]},
        {"image_std": [0.5, 0.5, 0.0]},
        {"image_std": "none"},
        {"rescale_factor": "small"},
    ],
)
def test_preparations_that_are_not_known(tmp_path: Path, changes: dict[str, object]) -> None:
    write_preparation(tmp_path, **changes)
    with pytest.raises(DepthError, match="image preparation .*: got .*use another network"):
        read_preparation(tmp_path / "preprocessor_config.json")


def test_steps_may_be_left_out(tmp_path: Path) -> None:
    write_preparation(tmp_path, do_resize=False, do_normalize=False, do_rescale=False)
    preparation = read_preparation(tmp_path / "preprocessor_config.json")
    image = picture(50, 40)
    torch.testing.assert_close(preparation.prepare(image), image * 255)
