"""What is installed, read once and remembered until something is installed, removed or replaced."""

import importlib_metadata
import pytest

from plugmux.cache import Cache
from plugmux.entrypoints import find
from plugmux.installed import EntryPoint, installed


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def reads(monkeypatch):
    """How often the metadata was read."""
    real, count = importlib_metadata.entry_points, []

    def counted(**selected):
        count.append(1)
        return real(**selected)

    monkeypatch.setattr(importlib_metadata, "entry_points", counted)
    return count


def install(site, name, *, target="acme:plugin", metadata=None, group="plugmux"):
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    plain = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: plugmux<2\n"
    (info / "METADATA").write_text(plain if metadata is None else metadata)
    (info / "entry_points.txt").write_text(f"[{group}]\nacme = {target}\n")
    return info


def acme(cache, group="plugmux"):
    return [(one.value, one.dist.name) for one in installed(cache).select(group=group) if one.name == "acme"]


def test_what_is_remembered_is_what_was_read(site, cache):
    install(site, "plugmux-acme")
    first, second = installed(cache), installed(cache)
    assert first == second
    point = next(one for one in second.select(group="plugmux") if one.name == "acme")
    assert (point.value, point.dist.version, point.dist.requires) == ("acme:plugin", "1.0", ("plugmux<2",))
    assert second.version == importlib_metadata.version("plugmux")


def test_the_metadata_is_read_once(site, cache, reads):
    install(site, "plugmux-acme")
    assert acme(cache) == acme(cache) == [("acme:plugin", "plugmux-acme")]
    assert len(reads) == 1


def test_the_groups_below_ours_are_kept_and_foreign_ones_are_not(site, cache):
    install(site, "plugmux-acme", group="plugmux.extensions")
    install(site, "stranger", group="plugmuxish")
    assert acme(cache, "plugmux.extensions") == [("acme:plugin", "plugmux-acme")]
    assert {one.group.partition(".")[0] for one in installed(cache).entry_points} == {"plugmux"}


def test_what_is_installed_later_is_found(site, cache):
    assert acme(cache) == []
    install(site, "plugmux-acme")
    assert acme(cache) == [("acme:plugin", "plugmux-acme")]


def test_what_is_removed_is_gone(site, cache):
    info = install(site, "plugmux-acme")
    assert acme(cache)
    for file in info.iterdir():
        file.unlink()
    info.rmdir()
    assert acme(cache) == []


def test_entry_points_edited_in_place_are_seen(site, cache):
    install(site, "plugmux-acme")
    assert acme(cache)
    install(site, "plugmux-acme", target="acme:other")
    assert acme(cache) == [("acme:other", "plugmux-acme")]


def test_a_folder_added_to_the_path_is_seen(tmp_path, cache, monkeypatch):
    assert acme(cache) == []
    (tmp_path / "more").mkdir()
    install(tmp_path / "more", "plugmux-acme")
    monkeypatch.syspath_prepend(tmp_path / "more")
    assert acme(cache) == [("acme:plugin", "plugmux-acme")]


def test_a_link_that_leads_nowhere_hides_nothing_else(site, cache):
    (site / "gone-1.0.dist-info").symlink_to(site / "nowhere")
    assert acme(cache) == []
    install(site, "plugmux-acme")
    assert acme(cache) == [("acme:plugin", "plugmux-acme")]


def test_a_path_that_is_missing_or_no_folder_is_no_matter(tmp_path, site, cache, monkeypatch):
    (tmp_path / "file.zip").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path / "file.zip")
    monkeypatch.syspath_prepend(tmp_path / "nowhere")
    install(site, "plugmux-acme")
    assert acme(cache) == acme(cache) == [("acme:plugin", "plugmux-acme")]


@pytest.mark.parametrize("value", [None, [], ["0.1.0"], ["0.1.0", [["a"]]], {"a": 1}, ["0.1.0", 7]])
def test_a_damaged_memory_is_read_anew(site, cache, value, reads, monkeypatch):
    install(site, "plugmux-acme")
    kept = {}
    monkeypatch.setattr(cache, "put", lambda key, value, seconds: kept.update(value))
    installed(cache)
    monkeypatch.setattr(cache, "get", lambda key: kept | {"installed": value})
    assert acme(cache) == [("acme:plugin", "plugmux-acme")]
    assert len(reads) == 2


def test_a_cache_that_keeps_nothing_still_tells(site):
    install(site, "plugmux-acme")
    assert acme(Cache(None)) == [("acme:plugin", "plugmux-acme")]


@pytest.mark.parametrize(
    ("value", "name"), [("json:loads", "loads"), ("json.decoder:JSONDecoder.decode [extra]", "decode")]
)
def test_an_entry_point_loads_what_it_names(value, name):
    point = EntryPoint("acme", value, "plugmux", None)
    assert point.load().__name__ == name


def test_an_entry_point_without_an_attribute_is_the_module():
    assert EntryPoint("acme", "json.decoder", "plugmux", None).load().__name__ == "json.decoder"


@pytest.mark.parametrize(
    ("value", "error"), [("json:no_such", AttributeError), ("no_such_module_:a", ImportError)]
)
def test_an_entry_point_that_names_nothing_raises(value, error):
    with pytest.raises(error):
        EntryPoint("acme", value, "plugmux", None).load()


def test_a_distribution_without_metadata_is_set_aside_alone(site, cache):
    (install(site, "plugmux_acme") / "METADATA").unlink()
    there = installed(cache)
    plugins, _ = find(there.version, entry_points=there)
    assert "metadata cannot be read" in plugins["acme"].problem
    assert {one.problem for name, one in plugins.items() if name != "acme"} <= {None}
