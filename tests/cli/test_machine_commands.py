from __future__ import annotations

import json
from pathlib import Path

import msgspec

from autotune.models import workload
from autotune.space import find, json_schema
from tests.cli.conftest import Done, Run
from tests.study import fakes


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


MANIFEST = {"what": "a model [x]", "prepare_s": 65, "files": {"m": {"bytes": 3 * 2**20, "sha256": ""}}}


def kept(cache: Path, key: str, **changes: str) -> Path:
    """An artifact in the cache."""
    made = cache / "artifacts" / (key * 32)
    made.mkdir(parents=True)
    (made / "manifest.json").write_text(json.dumps(MANIFEST | changes))
    return made


def test_only_what_a_key_names_is_cleared(run: Run, tmp_path: Path) -> None:
    one, other = kept(tmp_path / "cache", "ab"), kept(tmp_path / "cache", "cd")
    done = run("cache", "--clear", "abababab")
    line = "    3 MiB  abababababab  a model [x]  made in 1 min 05 s"
    assert done == Done(0, f"{line}\n    3 MiB  cleared from {tmp_path / 'cache'}\n", "")
    assert (one.exists(), other.exists()) == (False, True)


def test_only_what_is_of_a_studys_model_is_cleared(run: Run, tmp_path: Path) -> None:
    study = tmp_path / "studies" / "toy@here"
    study.mkdir(parents=True)
    (study / "domains.json").write_bytes(msgspec.json.encode(fakes.resolved(fakes.machine())))
    digest = workload.identity(fakes.WORKLOAD)
    one, other = kept(tmp_path / "cache", "ab", workload=digest), kept(tmp_path / "cache", "cd", workload="another")
    assert run("cache", "toy").out.splitlines()[-1] == f"    3 MiB  in {tmp_path / 'cache'}"
    assert one.exists()
    assert run("cache", "--clear", "toy").status == 0
    assert (one.exists(), other.exists()) == (False, True)


def test_what_is_neither_a_study_nor_a_key_is_refused(run: Run, tmp_path: Path) -> None:
    made = kept(tmp_path / "cache", "ab")
    for wanted in ("abcabc", "ab", "nowhere"):
        said = run("cache", "--clear", wanted).mistake
        assert said.startswith(f"autotune: no study '{wanted}'")
        assert said.endswith("nor a key of the cache: `python -m autotune cache` lists them\n")
    assert made.exists()


def test_the_cache_is_shown_and_cleared(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    made = folder / "artifacts" / ("ab" * 32)
    made.mkdir(parents=True)
    (made / "manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "mine.txt").touch()
    assert run("cache").out == f"    3 MiB  abababababab  a model [x]  made in 1 min 05 s\n    3 MiB  in {folder}\n"
    assert run("cache", "--clear") == Done(0, f"cleared {folder}\n", "")
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    assert (folder / "mine.txt").exists()
