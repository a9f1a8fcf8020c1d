"""The public names: listed once, importable, and no module stands in a function's way."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import quintet

PACKAGES = (
    "quintet",
    "quintet.pipelines",
    "quintet.pipelines.models",
    "quintet.finetune",
    "quintet.finetune.data",
    "quintet.cards",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_sorted(package):
    module = importlib.import_module(package)
    assert len(module.__all__) >= 2
    assert list(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_named_like_an_exported_name(package):
    module = importlib.import_module(package)
    modules = {path.stem for path in Path(str(module.__file__)).parent.glob("*.py")}
    assert modules & set(module.__all__) == set()


def test_unknown_public_name_lists_the_names_that_exist():
    with pytest.raises(AttributeError, match=r"module 'quintet' has no attribute 'pipelin'; it has: .*pipeline"):
        quintet.pipelin  # noqa: B018


def test_star_import_of_the_table_of_names_does_not_load_torch():
    code = "import sys, quintet; dir(quintet); quintet.tasks; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version_is_the_one_in_the_metadata_and_the_changelog():
    from importlib.metadata import version

    assert quintet.__version__ == version("quintet")
    changelog = (Path(quintet.__file__).parent / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {quintet.__version__}" in changelog
