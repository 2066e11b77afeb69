from __future__ import annotations

import json
from pathlib import Path

from autotune.space import find, json_schema
from tests.cli.conftest import Done, Run


def test_spaces_lists_what_is_shipped(run: Run) -> None:
    lines = run("spaces").out.splitlines()
    assert [line.split()[0] for line in lines] == [path.name for path in find.shipped()]
    assert all(Path(line.split()[1]).is_file() for line in lines)


def test_schema_is_json(run: Run) -> None:
    assert json.loads(run("schema").out) == json_schema.schema()


def test_doctor_has_a_line_for_each_setting(run: Run) -> None:
    done = run("doctor")
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    settings = [line.split()[0] for line in done.out.splitlines() if line and not line.startswith("not ")]
    assert settings[:6] == ["machine", "cpu", "usable", "isa", "memory", "software"]
    assert {"allocator", "huge_pages", "layout", "backend"} <= set(settings)
    assert "toy.large" in done.out.splitlines()[0]


def test_the_cache_is_shown_and_cleared(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    made = folder / "artifacts" / ("ab" * 32)
    made.mkdir(parents=True)
    manifest = {"what": "a model [x]", "prepare_s": 65, "files": {"m": {"bytes": 3 * 2**20, "sha256": ""}}}
    (made / "manifest.json").write_text(json.dumps(manifest))
    (folder / "mine.txt").touch()
    assert run("cache").out == f"    3 MiB  a model [x]  made in 1 min 05 s\n    3 MiB  in {folder}\n"
    assert run("cache", "--clear") == Done(0, f"cleared {folder}\n", "")
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    assert (folder / "mine.txt").exists()
