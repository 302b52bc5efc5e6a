"""Downloads, from a server on this machine."""

from __future__ import annotations

import io
import socket
import tarfile
from pathlib import Path

import pytest

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.download import download_tum, tum_sequence_name
from e2e_slam_ros.data.tum import TumReader
from web_server import refusing_address, served

NAME = "rgbd_dataset_freiburg1_xyz"


@pytest.fixture
def site(tmp_path):
    """A folder and the address it is served at."""
    root = tmp_path / "site"
    (root / "freiburg1").mkdir(parents=True)
    with served(root) as address:
        yield root, address


@pytest.fixture
def archive(site, tum_folder) -> Path:
    """A small sequence on the site, packed as the benchmark packs it."""
    folder = tum_folder(f"packed/{NAME}")
    path = site[0] / "freiburg1" / f"{NAME}.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder.path, arcname=NAME)
    return path


def test_a_sequence_arrives_and_is_fetched_once(site, archive, tmp_path):
    target = download_tum("fr1/xyz", tmp_path / "data", timeout=5.0, base_url=site[1])
    assert target == tmp_path / "data" / NAME
    assert len(TumReader(target)) == 4
    assert [p.name for p in target.parent.iterdir()] == [NAME]
    archive.unlink()
    assert download_tum(NAME, tmp_path / "data", base_url=site[1]) == target


def test_progress_is_shown_where_wanted(site, archive, tmp_path, capfd):
    download_tum("fr1/xyz", tmp_path / "data", progress=True, base_url=site[1])
    assert f"{NAME}.tgz: 100%" in capfd.readouterr().err
    download_tum("fr1/xyz", tmp_path / "other", base_url=site[1])  # no terminal: silent
    assert capfd.readouterr().err == ""


def refused(site, tmp_path, match):
    with pytest.raises(DataError, match=match):
        download_tum("fr1/xyz", tmp_path / "data", timeout=2.0, base_url=site[1])
    assert list((tmp_path / "data").iterdir()) == []


def test_no_such_sequence(site, tmp_path):
    refused(site, tmp_path, r"xyz.tgz: got HTTP 404 .*, expected an answer from the server; check")


def test_no_server(tmp_path):
    refused(
        (None, refusing_address()),
        tmp_path,
        "Connection refused, expected an answer from the server",
    )


def test_a_server_that_says_nothing_is_given_up(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DataError, match="timed out"):
            download_tum("fr1/xyz", tmp_path, timeout=0.2, base_url=address)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_off_archive_leaves_nothing(site, archive, tmp_path, share):
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    refused(site, tmp_path, "expected a complete, safe .tgz; try again")


def test_a_page_in_place_of_an_archive(site, archive, tmp_path):
    archive.write_text("<html>please log in</html>" * 100)
    refused(site, tmp_path, "expected a complete, safe .tgz")


@pytest.mark.parametrize("kind", ["parent", "absolute", "link"])
def test_an_archive_cannot_write_outside(site, archive, tmp_path, kind):
    outside = tmp_path / "outside.txt"
    name = {"parent": f"{NAME}/../../../outside.txt", "absolute": str(outside)}.get(kind)
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo(name or f"{NAME}/link/outside.txt")
        entry.size = 4
        if name is None:
            link = tarfile.TarInfo(f"{NAME}/link")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
            tar.addfile(link)
        tar.addfile(entry, io.BytesIO(b"evil"))
    refused(site, tmp_path, "expected")
    assert not outside.exists()


def test_an_archive_of_something_else(site, archive, tmp_path):
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("readme.txt"))
    refused(site, tmp_path, r"got readme.txt in it, expected rgbd_dataset_freiburg1_xyz/rgb.txt")


def test_a_folder_that_cannot_be_written(site, archive, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a writable folder"):
        download_tum("fr1/xyz", tmp_path / "file", base_url=site[1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fr1/desk", "rgbd_dataset_freiburg1_desk"),
        ("freiburg3_long_office_household", "rgbd_dataset_freiburg3_long_office_household"),
        ("rgbd_dataset_freiburg2_xyz", "rgbd_dataset_freiburg2_xyz"),
    ],
)
def test_names(name, expected):
    assert tum_sequence_name(name) == expected


@pytest.mark.parametrize("name", ["", "fr4/desk", "fr1/../../x", "fr1", "http://x/y"])
def test_other_names_are_refused(name):
    with pytest.raises(DataError, match="expected a TUM RGB-D name such as fr1/desk"):
        tum_sequence_name(name)
