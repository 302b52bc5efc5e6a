from __future__ import annotations

import collections
import dataclasses
import errno
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError, MapError
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.evaluation.run import artifacts
from e2e_slam_ros.evaluation.run.artifacts import prepare_folder, write_run
from e2e_slam_ros.mapping.ply import read_ply

FILES = ["map.ply", "trajectory.txt", "config.yaml", "metrics.json", "report.html"]
REQUIRED = {
    "": ["frames", "keyframes", "dropped", "surfels", "device", "wall_s"],
    "depth": ["abs_rel", "rmse", "delta_1"],
    "depth_unrefined": ["abs_rel", "rmse", "delta_1"],
    "trajectory": ["ate_rmse_m", "frames_tracked"],
}


class Page(HTMLParser):
    """Collects what a page refers to and checks that its elements close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.open: list[str] = []
        self.tags: collections.Counter[str] = collections.Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action"):
                self.sources.append(value or "")
            if name == "alt" and value:
                self.alts.append(value)
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def reject(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def metrics(folder: Path) -> dict[str, Any]:
    text = (folder / "metrics.json").read_text()
    return json.loads(text, parse_constant=reject)  # type: ignore[no-any-return]


def test_a_run_leaves_five_whole_files_and_nothing_else(wall_run: Any, tmp_path: Path) -> None:
    files = write_run(tmp_path / "run", wall_run.summary, wall_run.cloud, wall_run.config)
    assert files.failures == ()
    assert [path.name for path in files.written] == FILES
    assert sorted(os.listdir(tmp_path / "run")) == sorted(FILES)
    assert all(path.is_absolute() for path in files.written)
    cloud = read_ply(tmp_path / "run" / "map.ply")
    assert np.array_equal(cloud.positions, wall_run.cloud.positions)
    trajectory = read_tum_trajectory(tmp_path / "run" / "trajectory.txt")
    assert np.array_equal(trajectory.stamps_ns, wall_run.summary.trajectory.stamps_ns)
    assert trajectory.poses == pytest.approx(wall_run.summary.trajectory.estimated, abs=1e-8)
    assert Config.from_yaml((tmp_path / "run" / "config.yaml").read_text()) == wall_run.config


def test_metrics_have_the_agreed_keys(wall_run: Any, tmp_path: Path) -> None:
    write_run(tmp_path, wall_run.summary, wall_run.cloud, wall_run.config)
    content = metrics(tmp_path)
    for group, names in REQUIRED.items():
        values = content if not group else content[group]
        assert all(values[name] is not None for name in names)
    assert content["frames"] == 30
    assert content["surfels"] == len(wall_run.cloud)
    assert content["trajectory"]["frames_tracked"] == 30
    for stage in ("image_to_tf", "prepare", "depth", "fuse"):
        assert content["latency_ms"][stage]["p50"] <= content["latency_ms"][stage]["p95"]
    assert "cores" in content["machine"]


def test_what_could_not_be_computed_is_null(empty_run: Any, tmp_path: Path) -> None:
    files = write_run(tmp_path, empty_run.summary, empty_run.cloud, empty_run.config)
    assert files.failures == ()
    content = metrics(tmp_path)
    for group, names in REQUIRED.items():
        assert all(name in (content if not group else content[group]) for name in names)
    assert set(content["depth"].values()) == {None}
    assert content["trajectory"]["ate_rmse_m"] is None
    assert content["trajectory"]["frames_tracked"] == 0
    assert content["keyframes"] == content["surfels"] == 0
    assert content["latency_ms"] == {}
    assert content["problems"] == {"pose: missing": 1}
    page = (tmp_path / "report.html").read_text()
    assert "could not be drawn" not in page
    assert "pose: missing (1)" in page


def test_what_is_not_finite_is_null(network_run: Any, tmp_path: Path) -> None:
    summary = network_run.summary
    depth = dataclasses.replace(summary.depth, rmse=float("nan"), abs_rel=float("inf"))
    odd = dataclasses.replace(summary, wall_s=float("nan"), depth=depth)
    assert write_run(tmp_path, odd, network_run.cloud, network_run.config).failures == ()
    content = metrics(tmp_path)
    assert content["wall_s"] is content["depth"]["rmse"] is content["depth"]["abs_rel"] is None
    assert content["depth"]["delta_1"] == 1.0


@pytest.mark.parametrize("kind", ["wall_run", "network_run"])
def test_the_report_needs_nothing_but_itself(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(kind)
    write_run(tmp_path, run.summary, run.cloud, run.config, "e2e-slam replay --data <x>")
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.tags["script"] == 2 and page.tags["link"] == 0
    assert all(source.startswith("data:image/") for source in page.sources)
    # The name that HTML has inside three.js is no address; the policy forbids all of them.
    assert set(re.findall(r"https?://[^\"'<\s]*", text)) <= {"http://www.w3.org/1999/xhtml"}
    assert "content=\"default-src 'none'; img-src data:;" in text
    assert not re.search(r"url\(|@import", text)
    assert "e2e-slam replay --data &lt;x&gt;" in text
    assert len(text) < 5_000_000


def test_the_report_has_every_picture(wall_run: Any, network_run: Any, tmp_path: Path) -> None:
    for run in (wall_run, network_run):
        write_run(tmp_path, run.summary, run.cloud, run.config)
        text = (tmp_path / "report.html").read_text()
        assert "could not be drawn" not in text
        page = Page(text)
        assert len(run.summary.samples) > 3
        assert "Input, depth and error of keyframes" in page.alts
        for sample in run.summary.samples:
            assert f'<th scope="row">keyframe {sample.record.index}</th>' in text
        charts = [source for source in page.sources if source.startswith("data:image/svg+xml")]
        assert len(charts) == 4, "given poses have no error to draw"
        assert sum("Plan" in alt or "above" in alt or "behind" in alt for alt in page.alts) == 3


def test_the_report_shows_the_error_of_the_depth(network_run: Any, tmp_path: Path) -> None:
    write_run(tmp_path, network_run.summary, network_run.cloud, network_run.config)
    text = (tmp_path / "report.html").read_text()
    sampled = text[text.index('<th scope="row">keyframe 0</th>') :]
    assert '<td class="figure">0.100</td><td class="figure">0.200</td>' in sampled
    assert '<td class="figure">20.0</td>' in sampled, "10 % of 2 m, in cm"


def test_poses_are_judged_only_where_they_were_estimated(wall_run: Any, tmp_path: Path) -> None:
    estimated = dataclasses.replace(wall_run.summary, pose_source="odometry_node")
    for summary, shown in ((wall_run.summary, False), (estimated, True)):
        write_run(tmp_path, summary, wall_run.cloud, wall_run.config)
        text = (tmp_path / "report.html").read_text()
        assert ("<span>trajectory ATE</span>" in text) is shown
        assert ("Distance to the true position" in text) is shown
        assert ("Path of the camera, given poses" in text) is not shown


def test_a_map_of_its_own_frame_is_compared_after_alignment(wall_run: Any, tmp_path: Path) -> None:
    moved = wall_run.summary.trajectory.estimated.copy()
    moved[:, :3, 3] = moved[:, :3, 3] @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 7.0
    own = dataclasses.replace(wall_run.summary.trajectory, estimated=moved)
    tracked = dataclasses.replace(wall_run.summary, pose_source="visual", trajectory=own)
    write_run(tmp_path, tracked, wall_run.cloud, wall_run.config)
    text = (tmp_path / "report.html").read_text()
    assert "Distance to the true position, after rigid alignment" in text


def test_a_picture_that_fails_costs_its_section_only(
    wall_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise ValueError("no <paint> left")

    monkeypatch.setattr("e2e_slam_ros.evaluation.run.report.map_pictures", broken)
    files = write_run(tmp_path, wall_run.summary, wall_run.cloud, wall_run.config)
    assert files.failures == ()
    text = (tmp_path / "report.html").read_text()
    assert "could not be drawn: ValueError: no &lt;paint&gt; left" in text
    assert '<th scope="row">keyframe 0</th>' in text


@pytest.mark.parametrize("broken", ["map.ply", "trajectory.txt", "metrics.json", "report.html"])
def test_a_file_that_cannot_be_written_does_not_cost_the_others(
    broken: str, wall_run: Any, tmp_path: Path
) -> None:
    (tmp_path / broken).mkdir()  # a folder cannot be replaced by a file
    files = write_run(tmp_path, wall_run.summary, wall_run.cloud, wall_run.config)
    assert [path.name for path in files.written] == [name for name in FILES if name != broken]
    assert len(files.failures) == 1
    assert files.failures[0].startswith(f"{broken} was not written: ")
    assert sorted(os.listdir(tmp_path)) == sorted(FILES), "nothing half-written is left"


def test_the_map_is_written_first_and_the_report_last(
    wall_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> str:
        assert sorted(os.listdir(tmp_path)) == sorted(FILES[:-1])
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts, "report_html", killed)
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, wall_run.summary, wall_run.cloud, wall_run.config)
    assert len(read_ply(tmp_path / "map.ply")) == len(wall_run.cloud)


def test_a_full_disk_is_reported_for_each_file_it_hits(
    wall_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MapError.from_parts("map file", os.strerror(errno.ENOSPC), "room", "free space")

    monkeypatch.setattr(artifacts, "write_ply", full)
    files = write_run(tmp_path, wall_run.summary, wall_run.cloud, wall_run.config)
    assert [path.name for path in files.written] == FILES[1:]
    assert "No space left on device" in files.failures[0]


def test_an_unwritable_folder_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"got .*, expected a writable folder.*; .*choose"):
        prepare_folder(tmp_path / "file" / "run", 1000)


def test_a_full_disk_is_refused_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = collections.namedtuple("usage", "total used free")(
        10**9, 10**9 - 20 * 10**6, 20 * 10**6
    )
    monkeypatch.setattr(artifacts.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="20 MB free, expected 184 MB for a map of 2,000,000"):
        prepare_folder(tmp_path / "run", 2_000_000)
    assert prepare_folder(tmp_path / "run", 10_000) == tmp_path / "run"
    assert os.listdir(tmp_path / "run") == []
