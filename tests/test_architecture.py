"""The rules of the house, read from the imports, and the time that help takes.

Imports inside functions and those for types alone count as imports everywhere here.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.code_shape import find_circles, import_graph
from pipelines import DOMAINS

ROOT = Path(__file__).parent.parent
ROOMS = ("pipelines", "tuning", "apps")
HEAVY = {"tensorflow", "keras", "mlflow", "keras_tuner"}
# Every domain folder holds these files; each may have further ones for what it alone has.
DOMAIN_FILES = {
    "__init__",
    "spec",
    "options",
    "architectures",
    "layers",
    "model",
    "data",
    "audit",
    "batches",
    "baselines",
    "predict",
    "evaluate",
    "serve",
    "pipeline",
}
# And these files hold these functions.
DOMAIN_FUNCTIONS = {
    "data": {"load"},
    "audit": {"audit"},
    "batches": {"batches"},
    "model": {"build", "compile_arguments"},
    "baselines": {"baselines"},
    "predict": {"predict"},
    "evaluate": {"score", "losses", "table", "plots"},
    "serve": {"serving_model", "example", "restore_network", "predict_raw"},
}
# From the ground up: a floor imports itself and those before it, never a later one.
FLOORS = {
    "pipelines": (
        "pipelines.errors",
        "pipelines.interrupts",
        "pipelines.requirements",
        "pipelines.runtime",
        "pipelines.timing",
        "pipelines.config",
        "pipelines.splits",
        "pipelines.io",
        "pipelines.networks",
        "pipelines.pretrained",
        "pipelines.evaluation",
        "pipelines.blend",
        "pipelines.pipeline",
        "pipelines.together",
        tuple(f"pipelines.{domain}" for domain in DOMAINS),
        "pipelines",  # the registry of domains
        "pipelines.model_file",
        "pipelines.exports",
    ),
    "tuning": (
        "tuning.verdicts",
        "tuning.results",
        "tuning.reports",
        "tuning.tracking",
        "tuning.comparison",
        "tuning.training",
        "tuning.execution",
        "tuning.search",
    ),
}


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


def import_room(path: Path) -> set[str]:
    """Return the first words of what a module imports: `pipelines`, `keras`, ..."""
    return {name.split(".")[0] for name in imports(path)}


def floor_of(module: str, room: str) -> int:
    """Return the number of the floor that a module stands on, by the longest name that fits."""
    best, number = "", -1
    for position, names in enumerate(FLOORS[room]):
        for name in (names,) if isinstance(names, str) else names:
            fits = module == name or (module.startswith(f"{name}.") and name != room)
            if fits and len(name) > len(best):
                best, number = name, position
    assert number >= 0, f"{module} stands on no floor: add it to FLOORS"
    return number


@pytest.mark.parametrize(
    ("room", "forbidden"), [("pipelines", {"tuning", "apps"}), ("tuning", {"apps"})]
)
def test_rooms_import_downwards_only(room: str, forbidden: set[str]) -> None:
    wrong = [str(path) for path in modules(room) if import_room(path) & forbidden]
    assert wrong == []


@pytest.mark.parametrize("room", FLOORS)
def test_floors_of_a_room_import_downwards_only(room: str) -> None:
    graph = import_graph(modules(room), ROOT)
    wrong = []
    for module, targets in graph.items():
        if module == "tuning":
            continue  # its empty __init__.py
        for target in targets:
            if floor_of(target, room) > floor_of(module, room):
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_no_imports_form_a_circle() -> None:
    paths = [path for room in ROOMS for path in modules(room)]
    assert find_circles(import_graph(paths, ROOT)) == []


def test_domains_never_import_each_other() -> None:
    wrong = []
    for domain in DOMAINS:
        others = tuple(f"pipelines.{other}" for other in DOMAINS if other != domain)
        for path in modules(f"pipelines/{domain}"):
            wrong += [f"{path}: {name}" for name in imports(path) if name.startswith(others)]
    assert wrong == []


def test_only_the_room_of_tracking_imports_mlflow() -> None:
    importing = set()
    for room in ROOMS:
        for path in modules(room):
            if "mlflow" in import_room(path):
                importing.add(str(path.parent.relative_to(ROOT)))
    assert importing == {"tuning/tracking"}


def test_only_tuning_imports_keras_tuner() -> None:
    importing = set()
    for room in ROOMS:
        importing |= {room for path in modules(room) if "keras_tuner" in import_room(path)}
    assert importing == {"tuning"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_holds_the_same_files(domain: str) -> None:
    files = {path.stem for path in (ROOT / "pipelines" / domain).glob("*.py")}
    assert files >= DOMAIN_FILES


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("file", DOMAIN_FUNCTIONS)
def test_every_domain_has_the_same_functions(domain: str, file: str) -> None:
    tree = ast.parse((ROOT / "pipelines" / domain / f"{file}.py").read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions >= DOMAIN_FUNCTIONS[file]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_pipeline_imports_at_its_top_alone(domain: str) -> None:
    tree = ast.parse((ROOT / "pipelines" / domain / "pipeline.py").read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    deferred = []
    for function in functions:
        nodes = ast.walk(function)
        deferred += [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert deferred == []


def reads_architecture(expression: ast.expr) -> bool:
    nodes = list(ast.walk(expression))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name)}
    return "architecture" in names


@pytest.mark.parametrize("domain", DOMAINS)
def test_only_the_registry_knows_architectures_by_name(domain: str) -> None:
    """No `if spec.architecture == ...`: what differs from one to another is asked of its entry."""
    wrong = []
    for path in modules(f"pipelines/{domain}"):
        for node in ast.walk(ast.parse(path.read_text())):
            compared = isinstance(node, ast.Compare) and reads_architecture(node.left)
            matched = isinstance(node, ast.Match) and reads_architecture(node.subject)
            if compared or matched:
                wrong.append(f"{path}: {ast.unparse(node)[:80]}")
    assert wrong == []


LIGHT_COMMANDS = (
    "--help",
    "--version",
    "vision --help",
    "vision tune --help",
    "text train --help",
    "forecast train --help",
    "recommend tune --help",
    "vision train --epoch 3",
    "vision train --set conv.kernel=3",
    "text datasets",
    "text schema",
)


def test_help_and_argument_errors_import_nothing_heavy() -> None:
    program = f"""
import sys
from apps.cli import run_command
for words in {LIGHT_COMMANDS!r}:
    run_command(words.split())
    print("HEAVY", words, sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    said = [line for line in done.stderr.splitlines() if line.startswith("HEAVY")]
    assert said == [f"HEAVY {words} []" for words in LIGHT_COMMANDS]
