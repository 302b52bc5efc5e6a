"""Weights that others have published: what is known of them, and getting them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e_slam_ros.config.errors import ConfigError, DataError
from e2e_slam_ros.depth.architectures import ARCHITECTURES
from e2e_slam_ros.depth.foreign import FOREIGN
from e2e_slam_ros.depth.published import (
    PUBLISHED,
    PublishedFile,
    PublishedWeights,
    download_published,
    find_published,
)
from web_server import refusing_address, served

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server that has the file, another one, and a page."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "net.pth.tar").write_bytes(CONTENT)
    (root / "page").write_text("<html>please log in</html>")
    with served(root) as address:
        yield address


@pytest.fixture
def known(site: str) -> PublishedWeights:
    """An entry that says everything."""
    return PublishedWeights(
        name="some-network",
        what="depth",
        licence="free",
        page="https://example.org",
        file="folder/net.pth.tar",
        architecture="disp_resnet18",
        url=f"{site}/net.pth.tar",
        sha256=SHA256,
        size=len(CONTENT),
    )


@pytest.fixture
def by_hand(known: PublishedWeights) -> PublishedWeights:
    """An entry of a file that only a browser gets, and that nobody has hashed."""
    return replace(known, url="", sha256="", size=None)


def refused(entry: PublishedWeights, folder: Path, match: str, **options: str) -> None:
    """Refused with that, and nothing is there, nor half of it."""
    with pytest.raises((ConfigError, DataError), match=match):
        download_published(entry, folder, timeout=5.0, **options)  # type: ignore[arg-type]
    assert not folder.exists() or list(folder.iterdir()) == []


def test_every_entry_is_complete() -> None:
    assert len({entry.name for entry in PUBLISHED}) == len(PUBLISHED)
    for entry in PUBLISHED:
        assert all((entry.name, entry.what, entry.licence, entry.page, entry.file))
        assert entry.architecture in ("", *ARCHITECTURES, *FOREIGN)
        # Either everything that a download needs, or nothing that looks like it.
        assert bool(entry.url) == bool(entry.sha256) == (entry.size is not None)
        assert not entry.url or entry.url.startswith("https://")
        assert re.fullmatch(r"([0-9a-f]{64})?", entry.sha256)
        assert re.fullmatch(r"[\w-]+" if entry.beside else r"[\w-]+(\.\w+)+", entry.saved_as)
        assert all(part.sha256 and part.size for part in entry.beside)
        assert not entry.beside or entry.url.endswith(f"/{entry.file}")


def test_torchvision_names_files_by_their_hash() -> None:
    entry = find_published("imagenet-resnet18")
    named = re.search(r"-([0-9a-f]{8})\.pth", entry.file)
    assert named is not None and entry.sha256.startswith(named.group(1))
    assert entry.saved_as == "imagenet-resnet18.pth"


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(ConfigError, match="did you mean sc-sfmlearner-nyu-resnet18?"):
        find_published("sc-sfmlearner-nyu")


def test_a_file_arrives_under_a_name_of_its_own(known: PublishedWeights, tmp_path: Path) -> None:
    path = download_published(known, tmp_path / "new" / "out")
    assert path == tmp_path / "new" / "out" / "some-network.pth.tar"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_is_there_is_not_fetched_again(known: PublishedWeights, tmp_path: Path) -> None:
    path = download_published(known, tmp_path / "out")
    gone = replace(known, url=refusing_address())
    assert download_published(gone, tmp_path / "out") == path


def test_another_file_under_the_name_is_replaced(known: PublishedWeights, tmp_path: Path) -> None:
    (tmp_path / "some-network.pth.tar").write_bytes(CONTENT[:100])
    assert download_published(known, tmp_path).read_bytes() == CONTENT


def test_another_hash_is_refused_and_leaves_what_was_there(
    known: PublishedWeights, tmp_path: Path
) -> None:
    wrong = replace(known, sha256="0" * 64)
    words = f"net.pth.tar: got SHA-256 {SHA256} .*, expected {'0' * 64}; do not use it"
    refused(wrong, tmp_path / "out", words)
    older = tmp_path / "out" / "some-network.pth.tar"
    older.write_text("older")
    with pytest.raises(DataError, match="do not use it"):
        download_published(wrong, tmp_path / "out")
    assert older.read_text() == "older" and len(list(older.parent.iterdir())) == 1


def test_a_page_in_place_of_the_file(
    known: PublishedWeights, by_hand: PublishedWeights, site: str, tmp_path: Path
) -> None:
    # Of a file whose size is known nothing is read.
    refused(replace(known, url=f"{site}/page"), tmp_path / "out", "got 26 bytes, expected 1280000")
    options = {"url": f"{site}/page", "sha256": SHA256}
    refused(by_hand, tmp_path / "out", r"26 bytes, a web page", **options)


def test_a_connection_that_breaks(known: PublishedWeights, site: str, tmp_path: Path) -> None:
    cut = replace(known, url=f"{site}/cut/net.pth.tar")
    refused(cut, tmp_path / "out", "got 640000 bytes, .* expected 1280000 bytes; try again")


def test_no_such_file(known: PublishedWeights, tmp_path: Path) -> None:
    gone = replace(known, url=known.url + ".old")
    refused(gone, tmp_path / "out", "got HTTP 404 .* folder/net.pth.tar with a browser")


def test_no_server(known: PublishedWeights, tmp_path: Path) -> None:
    away = replace(known, url=refusing_address() + "/net.pth.tar")
    refused(away, tmp_path / "out", "Connection refused, .*; check the network, or download")


def test_no_address(known: PublishedWeights, tmp_path: Path) -> None:
    refused(replace(known, url="ftp//nonsense"), tmp_path / "out", "unknown url type")


def test_a_folder_that_cannot_be_written(known: PublishedWeights, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a writable folder"):
        download_published(known, tmp_path / "file")


def test_a_file_for_browsers_says_where_it_is_and_where_to_put_it(
    by_hand: PublishedWeights, tmp_path: Path
) -> None:
    for options, words in (
        ({}, "no address and no SHA-256"),
        ({"url": "http://127.0.0.1"}, "an address and no SHA-256"),
        ({"sha256": SHA256}, "no address and a SHA-256"),
    ):
        where = f"{words}.*folder/net.pth.tar with a browser .*example.org.*some-network.pth.tar"
        refused(by_hand, tmp_path / "out", where, **options)


def test_a_file_for_browsers_by_an_address_and_hash_of_ones_own(
    by_hand: PublishedWeights, known: PublishedWeights, tmp_path: Path
) -> None:
    path = download_published(by_hand, tmp_path, known.url, SHA256.upper())
    assert path.read_bytes() == CONTENT


def test_a_file_saved_by_hand_is_checked(by_hand: PublishedWeights, tmp_path: Path) -> None:
    path = tmp_path / "some-network.pth.tar"
    path.write_bytes(CONTENT)
    assert download_published(by_hand, tmp_path, sha256=SHA256) == path
    with pytest.raises(ConfigError, match="no address"):
        download_published(by_hand, tmp_path, sha256="0" * 64)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("text", ["f37072fd", "g" * 64, "a" * 65])
def test_something_else_than_a_hash(by_hand: PublishedWeights, tmp_path: Path, text: str) -> None:
    refused(by_hand, tmp_path / "out", "--sha256: got .*64 hexadecimal digits", sha256=text)


def test_a_known_hash_cannot_be_talked_away(known: PublishedWeights, tmp_path: Path) -> None:
    refused(known, tmp_path / "out", f"expected {SHA256}, which some-network has", sha256="0" * 64)


@pytest.fixture
def folder_of(known: PublishedWeights, tmp_path: Path) -> PublishedWeights:
    """An entry with a file beside the weights, at the same address."""
    (tmp_path / "site" / "config.json").write_bytes(b"{}")
    beside = PublishedFile("config.json", hashlib.sha256(b"{}").hexdigest(), 2)
    return replace(known, file="net.pth.tar", architecture="transformers", beside=(beside,))


def test_a_folder_arrives_with_all_of_its_files(
    folder_of: PublishedWeights, site: str, tmp_path: Path
) -> None:
    for url in ("", site, f"{site}/"):
        path = download_published(folder_of, tmp_path / f"out{len(url)}", url)
        assert path.name == "some-network"
        assert (path / "net.pth.tar").read_bytes() == CONTENT
        assert sorted(p.name for p in path.iterdir()) == ["config.json", "net.pth.tar"]
    away = replace(folder_of, url=refusing_address() + "/net.pth.tar")
    assert download_published(away, tmp_path / "out0") == tmp_path / "out0" / "some-network"


def test_a_file_of_a_folder_that_was_changed_is_fetched_again(
    folder_of: PublishedWeights, tmp_path: Path
) -> None:
    path = download_published(folder_of, tmp_path / "out")
    (path / "config.json").write_bytes(b"{}{}")
    (path / "net.pth.tar").unlink()
    download_published(folder_of, tmp_path / "out")
    assert (path / "config.json").read_bytes() == b"{}"
    assert (path / "net.pth.tar").read_bytes() == CONTENT


def test_another_file_of_a_folder_is_refused(folder_of: PublishedWeights, tmp_path: Path) -> None:
    (tmp_path / "site" / "config.json").write_bytes(b"[]")
    with pytest.raises(DataError, match="config.json: got SHA-256 .*do not use it"):
        download_published(folder_of, tmp_path / "out")
    assert list((tmp_path / "out").rglob("*.tar")) == []
