from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edge_worker.tools.image_files import distinct_names, find_all, find_images

if TYPE_CHECKING:
    from pathlib import Path

from pathlib import Path as RealPath


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folder_gives_its_images_in_order(tmp_path: Path) -> None:
    """Images are found below the folder, sorted, without other files and hidden ones."""
    _touch(tmp_path, "b.JPG", "a.png", "sub/c.webp", "notes.txt", ".hidden.jpg", ".cache/d.jpg")
    assert [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)] == ["a.png", "b.JPG", "sub/c.webp"]


def test_named_file_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    """A file named by the user is tried, even if it does not look like an image."""
    _touch(tmp_path, "frame.bin")
    assert find_images(tmp_path / "frame.bin") == [tmp_path / "frame.bin"]


def test_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    """A file named by itself and found in its folder is parsed once, where it came first."""
    _touch(tmp_path, "a.jpg", "b.jpg")
    assert find_all([tmp_path / "b.jpg", tmp_path]) == [tmp_path / "b.jpg", tmp_path / "a.jpg"]


def test_earlier_results_below_the_images_are_no_images(tmp_path: Path) -> None:
    """A folder parsed twice into one below it gives the same images; one that lies beside is asked for on purpose."""
    _touch(tmp_path, "a.jpg", "out/a.colormap.png", "out/deep/b.png")
    assert find_all([tmp_path], results=tmp_path / "out") == [tmp_path / "a.jpg"]
    assert len(find_all([tmp_path / "out"], results=tmp_path / "out")) == 2
    assert len(find_all([tmp_path, tmp_path / "out"], results=tmp_path / "out" / "deep")) == 2


def test_results_among_the_images_are_no_images(tmp_path: Path) -> None:
    """A folder parsed twice into itself gives the same images; without labels, an image is one, whatever its name."""
    results = (
        "a.labels.json",
        "a.colormap.png",
        "a.overlay.jpg",
        "a.crops-0.jpg",
        "b.x.labels.json",
        "b.x.colormap.png",
    )
    _touch(tmp_path, "a.jpg", "b.x.png", "c.colormap.png", *results)
    images = [tmp_path / "a.jpg", tmp_path / "b.x.png", tmp_path / "c.colormap.png"]
    assert find_all([tmp_path], results=tmp_path) == images
    assert len(find_all([tmp_path], results=tmp_path / "out")) == 7


def test_names_are_stems_where_they_differ(tmp_path: Path) -> None:
    """The usual case: x.jpg gives x, also when another file has other results."""
    files = [tmp_path / "a" / "x.jpg", tmp_path / "b" / "y.jpg"]
    assert list(distinct_names(files).values()) == ["x", "y"]


def test_names_grow_only_where_stems_clash(tmp_path: Path) -> None:
    """Endings, then folders tell files of one stem apart; files of other stems keep theirs."""
    a, b = tmp_path / "a", tmp_path / "b"
    names = distinct_names([a / "x.jpg", a / "x.png", b / "x.jpg", a / "z.jpg"])
    assert names == {a / "x.jpg": "a-x.jpg", a / "x.png": "x.png", b / "x.jpg": "b-x.jpg", a / "z.jpg": "z"}


@given(st.sets(st.lists(st.sampled_from(["a", "b", "a-b", "x", "x.jpg", "a-x"]), min_size=1, max_size=4).map("/".join)))
def test_names_are_never_shared(paths: set[str]) -> None:
    """Whatever the paths: every file has a name of its own, the same in any order, and it is no path."""
    files = [RealPath("/", path) for path in paths]
    names = distinct_names(files)
    assert len(set(names.values())) == len(files) == len(names)
    assert not any("/" in name for name in names.values())
    assert distinct_names(files[::-1]) == names
