"""`e2e-slam download-weights`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from e2e_slam_ros.cli import main
from e2e_slam_ros.depth import published
from e2e_slam_ros.depth.published import PUBLISHED, find_published
from web_server import refusing_address, served

Refused = Callable[..., str]
NYU = "sc-sfmlearner-nyu-resnet18"


@pytest.mark.parametrize("argv", [[], ["--list"], [NYU, "--list"]])
def test_the_list_says_what_where_and_under_which_licence(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["download-weights", *argv]) == 0
    said = capsys.readouterr().out
    for entry in PUBLISHED:
        for part in (entry.name, entry.what, entry.licence, entry.file, entry.url, entry.sha256):
            assert part in said
    assert "46.8 MB" in said and "size unknown" in said


def test_a_download_prints_its_path_and_how_to_use_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, out = tmp_path / "site", tmp_path / "out"
    site.mkdir()
    (site / "net").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    with served(site) as address:
        argv = ["download-weights", NYU, "--out", str(out), "--sha256", digest]
        assert main([*argv, "--url", f"{address}/net"]) == 0
    path = out / f"{NYU}.pth.tar"
    assert path.read_bytes() == b"weights"
    said = capsys.readouterr()
    assert said.out == f"{path}\n"
    assert f"--set depth.network.checkpoint={path}" in said.err
    assert "--set depth.network.architecture=disp_resnet18" in said.err
    assert f"licence: {find_published(NYU).licence}" in said.err


def test_files_go_to_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with served(tmp_path) as address:
        assert main(["download-weights", NYU, "--url", f"{address}/net", "--sha256", digest]) == 0
    assert capsys.readouterr().out.startswith(str(tmp_path / "cache" / "e2e_slam_ros" / "weights"))


def test_weights_for_browsers_are_explained(tmp_path: Path, refused: Refused) -> None:
    text = refused("download-weights", NYU, "--out", tmp_path / "out")
    assert "Unsupervised-Indoor-Depth" in text and "rectified_nyu_r18" in text
    assert str(tmp_path / "out" / f"{NYU}.pth.tar") in text
    assert not (tmp_path / "out").exists()


def test_without_a_network_nothing_is_left(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(find_published("imagenet-resnet18"), url=refusing_address())
    monkeypatch.setattr(published, "PUBLISHED", (away,))
    text = refused("download-weights", "imagenet-resnet18", "--out", tmp_path / "out")
    assert "Connection refused" in text and "check the network" in text
    assert not (tmp_path / "out").exists()


def test_an_unknown_name(refused: Refused) -> None:
    assert f"did you mean {NYU}?" in refused("download-weights", "sc-sfmlearner-nyu")


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf"])
def test_a_time_that_makes_no_sense(timeout: str, refused: Refused) -> None:
    argv = ["download-weights", "imagenet-resnet18", "--timeout", timeout]
    assert "--timeout" in refused(*argv)
