"""Values on disk: replaced atomically, readable by their owner only, ignored when damaged."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from plugmux.cache import Cache, write_private


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_there_until_it_expires(tmp_path: Path) -> None:
    clock = Clock()
    cache = Cache(tmp_path, clock=clock)
    cache.put("k", {"a": [1, None]}, seconds=10)
    assert cache.get("k") == {"a": [1, None]}
    clock.now += 10
    assert cache.get("k") is None
    assert cache.get("k", stale=True) == {"a": [1, None]}


def test_another_process_sees_it(tmp_path: Path) -> None:
    Cache(tmp_path).put("k", 1, seconds=10)
    assert Cache(tmp_path).get("k") == 1


def test_what_was_deleted_is_gone(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("k", 1, seconds=10)
    cache.delete("k")
    cache.delete("k")
    assert cache.get("k") is None


def test_a_key_may_hold_anything(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for key in ("../../etc/x", "a" * 5000, "", "é/\0"):
        cache.put(key, key, seconds=10)
        assert cache.get(key) == key
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_no_folder_keeps_nothing() -> None:
    cache = Cache(None)
    cache.put("k", 1, seconds=10)
    cache.delete("k")
    assert cache.get("k") is None


def test_files_and_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    Cache(tmp_path / "new").put("k", 1, seconds=10)
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.write_text("[1, 2]")


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def _deep(path: Path) -> None:
    path.write_text("[" * 99_999)


def _beyond_all_numbers(path: Path) -> None:
    entry = json.loads(path.read_bytes())
    path.write_text(json.dumps(entry | {"expires_at": 10**400}))


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_cut, _empty, _foreign, _binary, _deep, _beyond_all_numbers, _a_folder])
def test_a_damaged_file_reads_as_absent_and_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    cache = Cache(tmp_path)
    cache.put("k", 1, seconds=10)
    (path,) = tmp_path.iterdir()
    damage(path)
    assert cache.get("k") is None
    assert cache.damaged == [path]


@pytest.mark.parametrize("change", [{"schema": 99}, {"key": "other"}])
def test_another_schema_or_key_reads_as_absent(tmp_path: Path, change: dict[str, object]) -> None:
    cache = Cache(tmp_path)
    cache.put("k", 1, seconds=10)
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert cache.get("k") is None


def test_a_folder_that_cannot_be_made_keeps_nothing_and_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache")
    cache.put("k", 1, seconds=10)
    assert cache.get("k") is None


def test_a_private_file_is_replaced_whole_and_leaves_no_crumbs(tmp_path: Path) -> None:
    path = tmp_path / "config"
    write_private(path, b"old")
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_replaced_leaves_no_crumbs(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    with pytest.raises(OSError, match=r"."):
        write_private(tmp_path / "config", b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / "config"]


def test_a_damaged_file_is_set_aside_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(tmp_path)
    cache.put("key", 1, seconds=60)
    (file,) = tmp_path.iterdir()
    file.write_text('{"half": ')
    assert cache.get("key") is None
    assert "is damaged; it is set aside" in caplog.text
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]
    cache.put("key", 2, seconds=60)
    assert cache.get("key") == 2


def test_a_file_where_the_folder_should_be_is_an_empty_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()  # as with the home /dev/null
    cache = Cache(tmp_path / "file" / "cache")
    cache.put("key", 1, seconds=60)
    assert cache.get("key") is None
    assert (caplog.text, cache.damaged) == ("", [])
