"""Writes the generated parts of the documents: the tables of tasks and models, every `--help`, and the cards.

python docs/write_tables.py            rewrites them
python docs/write_tables.py --check    exits 1 and names the file if one is out of date
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from quintet.cards.facts import read_facts
from quintet.cards.render import read_readme, render
from quintet.pipelines.checkpoint_sources import embedded_names
from quintet.pipelines.models.families import FAMILIES
from quintet.pipelines.tasks import TASKS

ROOT = Path(__file__).parent.parent
COMMANDS = ("run", "finetune", "evaluate", "card", "publish", "verify", "convert", "data", "tasks", "models")


def tasks_table() -> str:
    lines = ["| task (aliases) | what it does | from scratch | without a model |", "|---|---|---|---|"]
    for task in TASKS:
        aliases = f" ({', '.join(f'`{alias}`' for alias in task.aliases)})" if task.aliases else ""
        families = ", ".join(f"`{family}`" for family in task.families)
        lines.append(
            f"| `{task.name}`{aliases} | {task.summary} | {families} | {', '.join(f'`{d}`' for d in task.default)} |"
        )
    return "\n".join(lines)


def models_table() -> str:
    lines = ["| family | what it is | for | source |", "|---|---|---|---|"]
    lines += [
        f"| `{family.name}` | {family.summary} | {', '.join(family.tasks)} | {family.paper} |" for family in FAMILIES
    ]
    return "\n".join(lines)


def help_texts() -> str:
    """Every `--help`, at a fixed width and without colour, so that the same code gives the same bytes."""
    environment = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}
    parts = []
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "quintet", command, "--help"],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        text = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
        parts.append(f"## quintet {command}\n\n```text\n{text}\n```")
    return "\n\n".join(parts)


GENERATED = {
    "README.md": {"tasks": tasks_table},
    "docs/models.md": {"models": models_table},
    "docs/commands.md": {"help": help_texts},
}
CARDS = ("docs/example-card/README.md", *(f"pipelines/embedded/{name}/README.md" for name in embedded_names()))


def filled(text: str, name: str, content: str) -> str:
    """The document with the part between its two marks replaced."""
    pattern = rf"(<!-- {name}: generated[^>]*-->\n).*?(<!-- /{name} -->)"
    new, count = re.subn(pattern, lambda match: f"{match[1]}{content}\n{match[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"expected one pair of marks <!-- {name}: generated … --> and <!-- /{name} -->, found {count}")
    return new


def rendered(card: str, text: str) -> str:
    """A card, rendered anew from the facts beside it."""
    return render(read_facts((ROOT / card).parent), own_words=read_readme(text).own_words)


def main(check: bool) -> int:
    stale = []
    for document in (*GENERATED, *CARDS):
        path = ROOT / document
        old = path.read_text(encoding="utf-8")
        new = rendered(document, old) if document in CARDS else old
        for name, make in GENERATED.get(document, {}).items():
            new = filled(new, name, make())
        if new != old:
            stale.append(document)
            if not check:
                path.write_text(new, encoding="utf-8")
    if stale:
        print(("out of date: " if check else "rewritten: ") + ", ".join(stale))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
