"""The wheel holds every package and data file, and does the main job from another folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import quintet

ROOT = Path(quintet.__file__).parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "out", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the tree so that no stale build folder puts deleted modules into it."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "tree", ignore=LEFT_OUT)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-build-isolation",
            "--no-deps",
            "--quiet",
            "-w",
            folder,
            folder / "tree",
        ],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("quintet-*.whl")
    return built


@pytest.mark.xdist_group("wheel")
def test_wheel_has_every_module_and_every_embedded_file(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {"quintet/py.typed"}
    for path in [
        *ROOT.glob("*.py"),
        *(p for folder in ("pipelines", "finetune", "cards") for p in (ROOT / folder).rglob("*")),
    ]:
        is_module = path.suffix == ".py"
        is_embedded = "embedded" in path.parts and path.is_file() and "__pycache__" not in path.parts
        if is_module or is_embedded:
            expected.add(f"quintet/{path.relative_to(ROOT).as_posix()}")
    assert inside == expected
    assert len(inside) >= 40


@pytest.mark.xdist_group("wheel")
def test_installed_wheel_does_the_main_job_elsewhere(wheel, tmp_path):
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", target, wheel],
        check=True,
        capture_output=True,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = (
        "import quintet, pathlib, sys\n"
        "assert pathlib.Path(quintet.__file__).is_relative_to(sys.argv[1]), quintet.__file__\n"
        "print(quintet.pipeline('sentiment')('A gorgeous, witty film.')[0]['label'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, target],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(target), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "positive"
