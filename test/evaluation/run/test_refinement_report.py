"""What a report says of refinement, and that it is silent where there was none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from e2e_slam_ros.evaluation.run.artifacts import write_run
from e2e_slam_ros.evaluation.run.recorder import RunRecorder
from e2e_slam_ros.slam.pipeline import SlamPipeline
from refine.rooms import network_config, use_tiny_network, wall_frame


@pytest.fixture
def refined_run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Six keyframes along a wall, the third of them black, revised one keyframe later."""
    use_tiny_network(monkeypatch)
    config = network_config(
        **{
            "refine.strategy": "network",
            "refine.scale.source": "fixed",
            "refine.steps": 4,
            "refine.wait_keyframes": 1,
            "map.revisable_keyframes": 3,
        }
    )
    system = SlamPipeline(config, torch.device("cpu"))
    recorder = RunRecorder(None, config)
    results = []
    for i in range(6):
        item = wall_frame(i, 0.1 * i, black=i == 2)
        results.append(system.map_keyframe(item, system.choose_keyframe(item)))
        recorder.on_frame(item.stamp_ns, item.T_map_camera)
        recorder.on_keyframe(results[-1])
    cloud = system.surfels.snapshot()
    return recorder.finish(cloud, 0, {}, 1.0), cloud, config, results


def test_counts_and_losses_reach_metrics_and_page(refined_run: Any, tmp_path: Path) -> None:
    summary, cloud, config, results = refined_run
    assert write_run(tmp_path, summary, cloud, config).failures == ()
    told = json.loads((tmp_path / "metrics.json").read_text())["refinement"]
    assert told["refused"] == {"no sources": 1, "image black": 1}
    assert told["refined"] + told["rolled_back"] == 4 and told["refined"] > 0
    assert told["mean_steps"] == 4.0
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Refinement</h2>" in page and "total loss over s" in page
    assert "image black (1)" in page and "could not be drawn" not in page
    records = summary.records
    assert records[0].loss_first is None and records[2].loss_last is None
    for record, result in zip(records, results, strict=True):
        if record.loss_first is not None and result.outcome.changed:
            assert record.loss_last < record.loss_first


def test_a_revision_replaces_the_keyframes_error(refined_run: Any) -> None:
    summary, _, _, results = refined_run
    revised = {r.revision.keyframe.index: r.revision for r in results if r.revision}
    assert revised and summary.refinement.revised == len(revised)
    for index, revision in revised.items():
        truth = revision.keyframe.sensor_depth
        expected = float(((revision.estimate.depth - truth).abs() / truth).mean())
        assert summary.records[index].depth.abs_rel == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(summary.depth.abs_rel)


def test_without_refinement_nothing_is_said(wall_run: Any, tmp_path: Path) -> None:
    write_run(tmp_path, wall_run.summary, wall_run.cloud, wall_run.config)
    assert json.loads((tmp_path / "metrics.json").read_text())["refinement"] is None
    assert "<h2>Refinement</h2>" not in (tmp_path / "report.html").read_text()
