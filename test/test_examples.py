"""The examples run on recorded frames and show what they promise."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("corruption", ["noise", "patch", "constant"])
def test_each_corruption_is_undone_through_the_map(shared_data: Path, corruption: str) -> None:
    # Paper B.1: L_color + L_CD, Adam. A larger step than the paper's, which moves a value by at
    # most 1e-4: fewer steps are enough to see the direction.
    module = load("gradient_experiments")
    views = module.load_views(shared_data / "hololens" / "rooms_000", 100, 1, 40)
    result = module.recover(views, corruption, steps=12, lr=1e-2)
    assert result.total[-1] < 0.8 * result.total[0]
    assert result.color[-1] < result.color[0]
    assert result.image_error[-1] < result.image_error[0]


def test_the_paper_s_setting_goes_down_at_every_step(shared_data: Path) -> None:
    module = load("gradient_experiments")
    views = module.load_views(shared_data / "hololens" / "rooms_000", 100, 1, 40)
    total = module.recover(views, "noise", steps=8, lr=1e-4).total
    assert all(later < earlier for earlier, later in zip(total, total[1:], strict=False))


def test_it_draws_its_figure(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("gradient_experiments")
    data = str(shared_data / "hololens" / "rooms_000")
    arguments = ["--data", data, "--out", str(tmp_path), "--width", "32", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", ["gradient_experiments.py", *arguments])
    module.main()
    assert (tmp_path / "gradient_experiments.png").stat().st_size > 10_000
