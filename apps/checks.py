"""What a command refuses before anything heavy is imported."""

import math
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.config.options import Options, PredictOptions, Question
from pipelines.errors import DataError, UsageError, suggest
from pipelines.evaluation.folds import require_folds
from pipelines.io.paths import require_new_file, require_path
from pipelines.io.tfds import PREFIX

ANSWER_SUFFIXES = (".csv", ".parquet")
STANDARD_INPUT = "-"
# Roles whose column may be in another table, or may be missing.
COLUMNS_ELSEWHERE = ("title", "weight")


def require_gate_with_baselines(flags: Mapping[str, Any]) -> None:
    """Refuse a gate that has nothing to compare with.

    Raises:
        UsageError: both flags were given.
    """
    if flags["gate"] and flags["no_baselines"]:
        raise UsageError("--gate compares with the baselines: leave out --no-baselines")


def require_folds_alone(options: Options, flags: Mapping[str, Any]) -> None:
    """Refuse folds where the domain has none, and flags that ask for another training.

    Raises:
        UsageError: the message says what to leave out.
    """
    require_folds(options, flags["folds"])
    if flags["seeds"] > 1:
        raise UsageError("--folds and --seeds: each fold is trained once. Leave one of them out")
    if flags["dry_run"]:
        raise UsageError(f"--dry-run looks at one fold: --fold 1/{flags['folds']}, without --folds")


def require_search_names(
    options: Options, objectives: Sequence[str], tuner: str, early_stop: str
) -> None:
    """Refuse an objective, a tuner or a rule of early stopping that does not exist.

    Raises:
        UsageError: the message gives the nearest name.
    """
    from tuning.search.tuners import STOPPERS, TUNERS, require
    from tuning.training.costs import COST_METRICS

    for name in objectives:
        if name.startswith("cost/"):
            require("--objective", name, tuple(COST_METRICS))
        else:
            options.objective(name)
    require("--tuner", tuner, TUNERS)
    require("--early-stop", early_stop, ("auto", *STOPPERS))


def duration(flag: str, text: str) -> float:
    """Return the seconds of `90`, `90s`, `10m` or `1h30m`; infinity when nothing is given.

    Raises:
        UsageError: the text is no duration.
    """
    if not text:
        return math.inf
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not text.strip() or not match:
        raise UsageError(f"{flag} {text}: expected a duration such as 90s, 10m or 1h30m")
    hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def require_workers(workers: str, cluster: str, trial_seconds: float) -> None:
    """Refuse a number of workers that is none, and a limit that they cannot keep.

    Raises:
        UsageError: the message says what is expected.
    """
    from tuning.execution.local_workers import count_workers

    count = count_workers(workers)
    if not count and not cluster and math.isfinite(trial_seconds):
        raise UsageError(
            "--trial-time needs trials in processes of their own, which can be ended. "
            "Expected: --workers 1 or more"
        )


def require_data(options: Options) -> None:
    """Refuse `--data` that names neither a data set nor a path.

    Raises:
        DataError: the message gives the nearest name of a data set.
    """
    if options.data not in options.datasets and not options.data.startswith(PREFIX):
        require_path(options.data, options.datasets, options.domain)


def require_inputs(inputs: Sequence[str], *, needed: bool = True, piped: str = "") -> None:
    """Refuse paths that do not exist, and with `needed` none at all; `-` is standard input.

    `piped` is the command that answers words on standard input, where a model answers such.

    Raises:
        UsageError: nothing is given.
        DataError: the message names the first one that does not exist.
    """
    if needed and not inputs:
        raise UsageError(
            "There is nothing to answer. Expected files, folders, or - for standard input: "
            "predict --run RUN FILE"
        )
    for name in inputs:
        if name != STANDARD_INPUT and not _exists(name):
            raise DataError(_no_such_input(name, piped))


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # a whole review is too long for a name
        return False


def _no_such_input(name: str, piped: str) -> str:
    """Return what to type in place of an input that is no path: a similar path, or a pipe."""
    others: list[str] = []
    with suppress(OSError):
        others = sorted(path.name for path in Path(name).parent.iterdir())
    hint = suggest(Path(name).name, others)
    if not hint and piped:
        hint = f" To answer these words: printf '%s\\n' {shlex.quote(name)} | {piped}"
    expected = "Expected a file, a folder, or - for standard input"
    return f"{name}: no such file or folder.{hint or ' ' + expected}"


def require_columns(source: str, options: Options | PredictOptions, given: Collection[str]) -> None:
    """Refuse a column that a person has named and that a table in a file does not have.

    Only what the header of the table shows is refused here, by the same words as by who reads its
    rows: they need the model, which takes seconds to load.

    Args:
        source: the file; anything else is passed over.
        options: the options that name columns, those that end with `_column`.
        given: the names of the options that a person has set.

    Raises:
        DataError: the message gives the nearest column.
    """
    roles = {}
    for name in given:
        role = name.removesuffix("_column")
        if role != name and role not in COLUMNS_ELSEWHERE and getattr(options, name):
            roles[role] = str(getattr(options, name))
    if not roles or not Path(source).is_file():
        return
    from pipelines.io.tables import read_header, require_column

    header = read_header(Path(source))
    if not header:
        return
    for role, columns in roles.items():
        for column in [columns] if columns in header else columns.split(","):
            require_column(header, column.strip(), role=role, where=source)


def require_words(question: Question, words: Sequence[str], *, needed: bool) -> None:
    """Refuse a question about nothing.

    Raises:
        UsageError: the message shows what is expected.
    """
    if needed and not words:
        raise UsageError(
            f"There is nothing to answer. Expected: {question.name} {question.metavar} --run RUN"
        )


def require_output(output: str, force: bool) -> None:
    """Refuse a file that cannot be written, before the answers for it are computed.

    Raises:
        UsageError: the message says what is wrong with the path.
    """
    if not output:
        return
    path = Path(output)
    require_new_file("--output", path, force)
    if path.suffix.lower() not in ANSWER_SUFFIXES:
        raise UsageError(
            f"--output {path}: answers are written as {' or '.join(ANSWER_SUFFIXES)}. "
            f"Received: {path.suffix or 'no suffix'}"
        )


def require_fix(path: str, limit: int) -> Path | None:
    """Return where a clean copy of the data is written; None where none is asked for.

    Raises:
        UsageError: something is there already, or only a part of the data would be written.
    """
    if not path:
        return None
    if Path(path).exists():
        raise UsageError(
            f"--fix {path}: exists already and is not overwritten. Choose another name"
        )
    require_new_file("--fix", Path(path), force=False)
    if limit:
        raise UsageError(f"--fix {path}: a copy holds all of the data. Leave out --limit {limit}")
    return Path(path)


def require_picture(picture: str, inputs: Sequence[str], force: bool) -> None:
    """Refuse a picture that cannot be written, or that several inputs would share.

    Raises:
        UsageError: the message says what is wrong.
    """
    if not picture:
        return
    require_new_file("--plot", Path(picture), force)
    if len(inputs) > 1:
        raise UsageError(
            f"--plot {picture}: one picture is drawn of one input. Received: {len(inputs)} inputs. "
            "Give one at a time"
        )
