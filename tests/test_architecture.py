"""Who imports whom, and what is loaded when: the arrows of docs/architecture.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import quintet

ROOT = Path(quintet.__file__).parent
FILES = sorted(
    path
    for path in [
        *ROOT.glob("*.py"),
        *(p for folder in ("pipelines", "finetune", "cards") for p in (ROOT / folder).rglob("*.py")),
    ]
    if "embedded" not in path.relative_to(ROOT).parts[1:-1]
)
HEAVY = {"torch", "transformers", "datasets", "diffusers", "accelerate", "sklearn", "matplotlib", "pandas", "peft"}
# Where a heavy import at module level would make `quintet --help` or a light pipeline slow.
LIGHT_FILES = (
    "__init__.py",
    "__main__.py",
    "cli.py",
    "pipelines/__init__.py",
    "pipelines/errors.py",
    "pipelines/records.py",
    "pipelines/tasks.py",
    "pipelines/models/__init__.py",
    "pipelines/models/families.py",
    "finetune/__init__.py",
    "finetune/data/__init__.py",
    "finetune/settings.py",
    "cards/__init__.py",
    *(f"cards/{path.name}" for path in sorted((ROOT / "cards").glob("*.py")) if path.name != "__init__.py"),
)
# Cards from facts: they can be read, rendered and checked where nothing else of Quintet is.
PURE_CARDS = {
    "__init__",
    "answers",
    "architectures",
    "card_lines",
    "card_report",
    "checking",
    "comparison",
    "facts",
    "facts_io",
    "facts_values",
    "languages",
    "limit_sections",
    "markdown",
    "marks",
    "metadata",
    "number_sources",
    "phrases",
    "picture_usage",
    "render",
    "result_sections",
    "sections",
    "snippet_runs",
    "snippets",
    "training_sections",
}


def layer(parts: tuple[str, ...]) -> str:
    """The row of the table in docs/architecture.md that a module belongs to."""
    if parts[0] == "pipelines":
        if parts[1:] in (("errors",), ("errors.py",)):
            return "errors"
        return "models" if parts[1:2] == ("models",) else "pipelines"
    return parts[0] if parts[0] in ("finetune", "cards") else "root"


ALLOWED = {
    "errors": set(),
    "models": {"errors", "models"},
    "pipelines": {"errors", "models", "pipelines"},
    "finetune": {"errors", "models", "pipelines", "finetune", "cards"},
    "cards": {"cards"},
}


def imports(path: Path, *, module_level: bool) -> list[tuple[tuple[str, ...], str]]:
    """The imports of a file: ours as (path parts inside the package, ""), others as ((), top-level name)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if module_level else list(ast.walk(tree))
    package = path.relative_to(ROOT).parts[:-1]
    found: list[tuple[tuple[str, ...], str]] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [((), alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(((), str(node.module).split(".")[0]))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            names = tuple(node.module.split(".")) if node.module else (node.names[0].name,)
            found.append(((*base, *names), ""))
    return found


def test_imports_follow_the_arrows():
    checked = 0
    wrong = []
    for path in FILES:
        source = path.relative_to(ROOT).parts
        if layer(source) == "root" or source == ("finetune", "__main__.py"):  # the latter only starts the command
            continue
        for target, outside in imports(path, module_level=False):
            if outside:
                if outside == "quintet":
                    wrong.append(f"{'/'.join(source)} imports quintet by its absolute name")
                continue
            checked += 1
            if layer(source) == "cards" and layer(target) != "cards":
                continue  # see the next test
            if layer(target) not in ALLOWED[layer(source)]:
                wrong.append(f"{'/'.join(source)} imports {'.'.join(target)}")
            if (
                layer(source) == "finetune"
                and layer(target) == "cards"
                and target[1:2] not in (("facts",), ("render",))
            ):
                wrong.append(f"{'/'.join(source)} imports {'.'.join(target)}: of cards, only facts and render")
    assert wrong == []
    assert checked >= 60


def test_cards_use_pipelines_and_finetune_inside_functions_only():
    pure = seen = 0
    for path in (ROOT / "cards").glob("*.py"):
        inside = {layer(target) for target, outside in imports(path, module_level=False) if not outside}
        above = {layer(target) for target, outside in imports(path, module_level=True) if not outside}
        if path.stem in PURE_CARDS:
            pure += 1
            assert inside <= {"cards"}, path.name
        else:
            seen += 1
            assert above <= {"cards", "errors"}, path.name
            assert inside <= {"cards", "errors", "models", "pipelines", "finetune"}, path.name
    assert pure == len(PURE_CARDS)
    assert seen >= 2


def test_light_files_import_nothing_heavy_at_module_level():
    checked = 0
    for name in LIGHT_FILES:
        path = ROOT / name
        heavy = [outside for _, outside in imports(path, module_level=True) if outside in HEAVY]
        assert heavy == [], name
        checked += 1
    assert checked == len(LIGHT_FILES)


def test_adapters_import_only_torch_transformers_and_files_beside_them():
    adapters = sorted((ROOT / "pipelines/models").glob("modeling_*.py"))
    assert len(adapters) >= 3
    for path in adapters:
        for target, outside in imports(path, module_level=False):
            if outside:
                assert outside in sys.stdlib_module_names | {"torch", "transformers", "__future__"}, path.name
            else:
                assert len(target) == 3, (
                    f"{path.name}: save_pretrained copies only files imported as `from .name import`"
                )


def loaded_after(code: str) -> set[str]:
    """Top-level modules loaded after running code in a new process, in a folder that is not the project's."""
    script = f"import sys\n{code}\nprint('LOADED', *{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT / "tests", check=True
    )
    return set(done.stdout.split("LOADED")[1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["tasks"], ["models"], ["finetune", "--help"], ["run", "--help"], ["card", "--help"]]
)
def test_help_and_tables_load_nothing_heavy(arguments):
    loaded = loaded_after(
        "import quintet.cli\n"
        f"try:\n    quintet.cli.main({arguments!r})\n"
        "except SystemExit as end:\n    assert end.code in (0, None), end.code"
    )
    assert "quintet" in loaded
    assert loaded & HEAVY == set()


def test_embedded_pipeline_loads_no_transformers_datasets_or_diffusers():
    loaded = loaded_after("from quintet import pipeline\nprint(pipeline('sentiment')('A gorgeous, witty film.'))")
    assert "torch" in loaded
    assert loaded & (HEAVY - {"torch"}) == set()
