"""Small rendered walks, recorded once for all tests of a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e_slam_ros.training.correction.evidence_config import RenderedEvidenceConfig
from e2e_slam_ros.training.correction.evidence_set import EvidenceSet, RecordingConditions
from e2e_slam_ros.training.correction.rendered_walk import RenderedWalk

SMALL = {
    "frames": 5, "width": 96, "texture_size": 64, "rate_min_hz": 2.0, "rate_max_hz": 2.0,
}  # fmt: skip
SEED = 70001


@pytest.fixture(scope="module")
def walks() -> list[RenderedWalk]:
    config = RenderedEvidenceConfig(rooms=2, **SMALL)
    return [RenderedWalk(config, SEED + number) for number in range(2)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evidence")


@pytest.fixture(scope="module")
def recorded(walks: list[RenderedWalk], cache: Path) -> EvidenceSet:
    evidence = EvidenceSet(walks, RecordingConditions(cache))
    assert evidence.render_missing() == 2
    return evidence
