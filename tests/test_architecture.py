"""The rules of the house, read from the imports, and the time that help takes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import DOMAINS

ROOT = Path(__file__).parent.parent
ROOMS = ("pipelines", "tuning", "apps")
HEAVY = {"tensorflow", "keras", "mlflow", "keras_tuner"}
# The code of a logged model is loaded by MLflow itself.
MAY_IMPORT_MLFLOW = {"tuning/tracking/mlflow_tracker.py", "tuning/tracking/logged_model.py"}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    ("room", "forbidden"), [("pipelines", {"tuning", "apps"}), ("tuning", {"apps"})]
)
def test_rooms_import_downwards_only(room: str, forbidden: set[str]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(room)
        for name in imports(path)
        if name.split(".")[0] in forbidden
    ]
    assert wrong == []


def test_domains_never_import_each_other() -> None:
    domains = [
        path.name for path in (ROOT / "pipelines").iterdir() if (path / "pipeline.py").exists()
    ]
    assert {"vision", "text", "forecast", "recommend"} <= set(domains)
    wrong = [
        f"{path}: {name}"
        for domain in domains
        for path in modules(f"pipelines/{domain}")
        for name in imports(path)
        for other in set(domains) - {domain}
        if name.startswith(f"pipelines.{other}")
    ]
    assert wrong == []


def test_only_tracking_imports_mlflow() -> None:
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in modules(room)
        if any(n.split(".")[0] == "mlflow" for n in imports(path))
    }
    assert found <= MAY_IMPORT_MLFLOW


def test_only_tuning_imports_keras_tuner() -> None:
    found = {
        path.relative_to(ROOT).parts[0]
        for room in ROOMS
        for path in modules(room)
        if "keras_tuner" in imports(path)
    }
    assert found == {"tuning"}


def test_every_domain_holds_the_same_modules() -> None:
    for domain in DOMAINS:
        names = {path.stem for path in modules(f"pipelines/{domain}")}
        assert {"pipeline", "data", "model", "baselines", "serve", "plots"} <= names


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["vision", "--help"],
        ["vision", "tune", "--help"],
        ["text", "train", "--help"],
        ["forecast", "train", "--help"],
        ["recommend", "tune", "--help"],
        ["vision", "train", "--epoch", "3"],
    ],
    ids=" ".join,
)
def test_help_and_argument_errors_import_nothing_heavy(arguments: list[str]) -> None:
    program = f"""
import sys
from apps.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print("HEAVY", sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "HEAVY []" in done.stderr
