"""`appline`: one command line for all applications, from the arguments to an exit code.

Nothing heavy is imported here: `--help` answers at once.
"""

import importlib.metadata
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from apps import commands
from apps.click_options import (
    make_flag,
    options_flags,
    spec_flags,
    with_cost_limits,
    without_defaults,
)
from apps.rendering import Screen
from apps.signals import interrupt_on_termination
from pipelines import DOMAINS, options_class
from pipelines.config.options import Options
from pipelines.errors import ApplineError, SweepInterrupted, TrainingInterrupted, suggest
from tuning.tracking.secrets import HIDDEN, INSTEAD, hide_secrets

INTERRUPTED = 130
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
Command = Callable[[type[Options], click.Context], None]


class Applications(click.Group):
    """The applications by name; only the one that was asked for is imported."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*DOMAINS, *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in DOMAINS:
            return application(name)
        return super().get_command(context, name)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return _with_suggestion(self, context, args, super().resolve_command)


class Application(click.Group):
    """The commands of one application."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return _with_suggestion(self, context, args, super().resolve_command)


Resolution = tuple[str | None, click.Command | None, list[str]]


def _with_suggestion(
    group: click.Group,
    context: click.Context,
    args: list[str],
    resolve: Callable[[click.Context, list[str]], Resolution],
) -> Resolution:
    """Find the command that was typed; when there is none, name the nearest one."""
    try:
        return resolve(context, args)
    except click.UsageError as error:
        hint = suggest(args[0], group.list_commands(context))
        raise click.UsageError(f"{error.message}{hint}", context) from None


@click.group(cls=Applications, context_settings=CONTEXT)
@click.version_option(importlib.metadata.version("appline"), prog_name="appline")
def appline() -> None:
    """Keras application pipelines, tuned with KerasTuner and tracked in MLflow."""


def application(domain: str) -> click.Group:
    """Return the commands of one application, with flags for its options and hyperparameters."""
    options_type = options_class(domain)
    group = Application(domain, help=options_type.__doc__, context_settings=CONTEXT)
    data = options_flags(options_type)
    spec_type = options_type.spec_type
    group.add_command(
        _command(
            commands.train,
            options_type,
            [
                *data,
                *spec_flags(spec_type, search=False),
                OBJECTIVE,
                DISTRIBUTE,
                DRY_RUN,
                *TRAINING,
                *TRACKING,
                *OUTPUT,
            ],
        )
    )
    group.add_command(
        _command(
            commands.tune,
            options_type,
            [
                *map(with_cost_limits, data),
                *spec_flags(spec_type, search=True),
                OBJECTIVES,
                *SEARCH,
                *TRAINING,
                *TRACKING,
                *OUTPUT,
            ],
        )
    )
    group.add_command(
        _command(
            commands.evaluate,
            options_type,
            [*MODEL, PART, *without_defaults(data), TRACKING_URI, *OUTPUT],
        )
    )
    group.add_command(
        _command(commands.predict, options_type, [INPUTS, *MODEL, *ANSWERS, TRACKING_URI, *OUTPUT])
    )
    group.add_command(_command(commands.check, options_type, [*data, *OUTPUT]))
    group.add_command(_command(commands.datasets, options_type, OUTPUT))
    group.add_command(_command(commands.schema, options_type, []))
    return group


def _command(
    command: Command, options_type: type[Options], params: Sequence[click.Parameter]
) -> click.Command:
    def call(**_: object) -> None:
        command(options_type, click.get_current_context())

    return click.Command(command.__name__, params=list(params), callback=call, help=command.__doc__)


OBJECTIVE = make_flag(
    "objective", str, "", "validation metric that decides (default: the application's own)"
)
OBJECTIVES = click.Option(
    ["--objective"],
    multiple=True,
    help="validation metric that decides; repeatable for further objectives, also costs such as "
    "cost/latency_ms_p50",
)
DISTRIBUTE = make_flag(
    "distribute",
    str,
    "none",
    "mirrored: divide each batch among the GPUs of this machine",
)
TRAINING: list[click.Parameter] = [
    make_flag(
        "deterministic",
        bool,
        False,
        "use TensorFlow's deterministic operations too: bit-identical results every time",
    ),
    make_flag(
        "gate",
        bool,
        False,
        "exit with 4 when the test score is below that of the strongest baseline",
    ),
]
DRY_RUN = make_flag(
    "dry_run", bool, False, "read the data and check the network, but train nothing"
)
SEARCH: list[click.Parameter] = [
    make_flag(
        "dry_run",
        bool,
        False,
        "estimate what the sweep would cost, from a few networks fitted for two epochs each; "
        "keep nothing",
    ),
    make_flag("trials", click.IntRange(min=1), 20, "number of trials"),
    make_flag("tuner", str, "tpe", "tpe, random, bayesian, hyperband or grid"),
    make_flag(
        "workers",
        str,
        "1",
        "processes that run trials side by side: a number, 0 for none beside this one, or auto; "
        "not with --cluster",
    ),
    make_flag(
        "cluster",
        str,
        "",
        "run trials on the Ray cluster at this address (auto: the one on this machine)",
    ),
    make_flag(
        "trial_epochs",
        click.IntRange(min=0),
        0,
        "epochs of a trial (0: a third of the epochs of a full training)",
    ),
    make_flag(
        "early_stop",
        str,
        "auto",
        "stop losing trials early: asha, median or none (auto: median for tpe and random with "
        "one objective)",
    ),
    make_flag(
        "max_time",
        str,
        "",
        "stop the search after this time: 90s, 10m, 1h30m; the winner is trained after it; a "
        "resumed sweep counts anew",
    ),
    make_flag(
        "max_epochs_total",
        click.IntRange(min=0),
        0,
        "start no trial that would bring all trials together above this many epochs (0: no limit)",
    ),
    make_flag("trial_time", str, "", "end a trial that takes longer: 90s, 10m"),
    make_flag(
        "warm_from",
        str,
        "",
        "begin with what was found before: the id of a sweep, or auto for all winners",
    ),
    make_flag(
        "resume",
        str,
        "",
        "continue the sweep of this id; repeat the flags it was started with",
    ),
]
TRACKING_URI = make_flag(
    "tracking_uri",
    str,
    "",
    "MLflow's server or store (default: MLFLOW_TRACKING_URI, else ./mlruns)",
)
TRACKING: list[click.Parameter] = [
    TRACKING_URI,
    make_flag("experiment", str, "", "MLflow experiment (default: application/dataset)"),
    make_flag("run_name", str, "", "name of the run in MLflow"),
    make_flag("no_tracking", bool, False, "keep nothing in MLflow"),
]
OUTPUT: list[click.Parameter] = [
    make_flag("json", bool, False, "print one JSON object"),
    click.Option(["-q", "--quiet"], is_flag=True, help="print results only"),
    click.Option(["-v", "--verbose"], is_flag=True, help="show tracebacks"),
]
MODEL: list[click.Parameter] = [
    click.Option(["--run"], default="", help="id of a run, or its beginning"),
    click.Option(["--model"], default="", help="a model.keras file"),
]
PART = click.Option(
    ["--part"],
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="part to score",
)
INPUTS = click.Argument(["inputs"], nargs=-1, required=True)
ANSWERS: list[click.Parameter] = [
    click.Option(
        ["-o", "--output"], default="", help="write the answers to this CSV or Parquet file"
    ),
    click.Option(["--force"], is_flag=True, help="overwrite it"),
]


@appline.command()
@click.option(
    "--tracking-uri",
    default="",
    help="MLflow's server or store (default: MLFLOW_TRACKING_URI, else ./mlruns)",
)
@click.option("--port", default=5000, show_default=True, help="port on 127.0.0.1")
def ui(tracking_uri: str, port: int) -> None:
    """Start MLflow on the right store and print the address of the comparison."""
    from apps.ui import serve_ui

    serve_ui(tracking_uri, port)


@appline.command()
@click.option("--tracking-uri", default="", help="MLflow's server or store")
@click.option("--limit", default=20, show_default=True, help="rows")
@click.option("--json", is_flag=True, help="print one JSON object")
def runs(tracking_uri: str, limit: int, json: bool) -> None:
    """List the latest trainings and sweeps."""
    from apps.list_runs import list_runs

    list_runs(tracking_uri, limit, Screen(json=json))


@appline.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="where mlruns/ is")
def demo(folder: Path) -> None:
    """Run a short sweep for each application on real embedded data, and compare."""
    from apps.demo import run_demo

    run_demo(folder)


def main(arguments: list[str] | None = None) -> None:
    """Run a command line and exit with its exit code; see docs/errors.md."""
    if arguments is None:
        arguments = sys.argv[1:]
    interrupt_on_termination()
    sys.exit(_run(arguments))


def _run(arguments: list[str]) -> int:
    """Run a command line and return its exit code; every error is printed here."""
    is_verbose = "-v" in arguments or "--verbose" in arguments
    try:
        code = appline.main(arguments, prog_name="appline", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ApplineError as error:
        if is_verbose:
            _say(traceback.format_exc())
        _say(f"Error: {error}")
        if error.sweep_id:
            _say(_resume_command(arguments, error.sweep_id))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as stop:
        # click turns an interrupt into its own Abort and keeps ours as the cause.
        _say(_last_words(stop.__cause__ or stop, arguments))
        return INTERRUPTED
    except Exception as error:
        if is_verbose:
            _say(traceback.format_exc())
        _say(
            f"Error: {type(error).__name__}: {error}\n"
            "This should not happen. Add -v to see where, and please report it"
        )
        return 1


def _say(text: str) -> None:
    """Print on stderr, without the passwords of the addresses that were typed."""
    shown = hide_secrets(text)
    click.echo(shown, err=True)
    if HIDDEN in shown:
        click.echo(f"A password is hidden. In place of it, MLflow reads {INSTEAD}", err=True)


def _last_words(stop: BaseException, arguments: list[str]) -> str:
    """Return what an interrupted command says: what it has kept, and the command that goes on."""
    if isinstance(stop, SweepInterrupted) and stop.run_id:
        return f"Interrupted. {_resume_command(arguments, stop.run_id)}"
    if not isinstance(stop, TrainingInterrupted):
        return "Interrupted"
    if not stop.kept:
        return "Interrupted before the first epoch had ended: nothing is kept"
    look = ["appline", arguments[0], "evaluate", "--run", stop.run_id[:8], *_store(arguments)]
    return f"Interrupted; the best weights so far are kept. Look at them: {shlex.join(look)}"


def _store(arguments: list[str]) -> list[str]:
    """Return the words of a command line that name its store, if any do."""
    words = []
    for position, word in enumerate(arguments):
        is_value = position > 0 and arguments[position - 1] == "--tracking-uri"
        if word.partition("=")[0] == "--tracking-uri" or is_value:
            words.append(word)
    return words


def _resume_command(arguments: list[str], sweep_id: str) -> str:
    kept = []
    for position, word in enumerate(arguments):
        is_value = position > 0 and arguments[position - 1] == "--resume"
        if word != "--resume" and not is_value:
            kept.append(word)
    command = shlex.join(["appline", *kept, "--resume", sweep_id[:8]])
    return f"Finished trials are kept. Continue: {command}"


if __name__ == "__main__":
    main()
