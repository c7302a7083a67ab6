"""`appline`: one command for all applications. Errors become exit codes here, and nothing heavy is imported."""

import importlib.metadata
import shlex
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from apps import click_options, commands
from apps.rendering import Screen
from pipelines import DOMAINS, pipeline_class
from pipelines.errors import ApplineError
from pipelines.pipeline import AnyPipeline

INTERRUPTED = 130
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
Verb = Callable[[type[AnyPipeline], click.Context], None]


class Applications(click.Group):
    """The applications by name; each is imported only when it is the one that was asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*DOMAINS, *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return application(name) if name in DOMAINS else super().get_command(context, name)

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        from pipelines.errors import suggest

        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message}{suggest(args[0], self.list_commands(context))}", context) from None


@click.group(cls=Applications, context_settings=CONTEXT)
@click.version_option(importlib.metadata.version("appline"), prog_name="appline")
def appline() -> None:
    """Keras application pipelines, tuned with KerasTuner and tracked in MLflow."""


def application(domain: str) -> click.Group:
    """Return the commands of one application, their flags made from its pipeline's fields."""
    pipeline_type = pipeline_class(domain)
    group = Applications(domain, help=f"{pipeline_type.__doc__}", context_settings=CONTEXT)
    group.list_commands = lambda context: list(group.commands)  # type: ignore[method-assign]
    data, spec_type = click_options.of_fields(pipeline_type), pipeline_type.spec_type
    for verb, options in (
        (
            commands.train,
            [*data, *click_options.of_spec(spec_type, search=False), OBJECTIVE, DISTRIBUTE, DRY_RUN, *TRAINING, *TRACKING, *OUTPUT],
        ),
        (
            commands.tune,
            [
                *map(click_options.with_cost_limits, data),
                *click_options.of_spec(spec_type, search=True),
                OBJECTIVES,
                *SEARCH,
                *TRAINING,
                *TRACKING,
                *OUTPUT,
            ],
        ),
        (commands.evaluate, [*MODEL, PART, *click_options.of_run(data), *TRACKING[:1], *OUTPUT]),
        (commands.predict, [INPUTS, *MODEL, *ANSWERS, *TRACKING[:1], *OUTPUT]),
        (commands.check, [*data, *OUTPUT]),
        (commands.datasets, OUTPUT),
        (commands.schema, []),
    ):
        group.add_command(_command(verb, pipeline_type, options))
    return group


def _command(verb: Verb, pipeline_type: type[AnyPipeline], options: list[click.Parameter]) -> click.Command:
    def call(**_: object) -> None:
        verb(pipeline_type, click.get_current_context())

    return click.Command(verb.__name__, params=list(options), callback=call, help=verb.__doc__)


OBJECTIVE = click_options.flag("objective", str, "", "validation metric that decides (default: the application's own)")
OBJECTIVES = click.Option(
    ["--objective"], multiple=True, help="validation metric that decides; again for further ones, also costs such as cost/latency_ms_p50"
)
DISTRIBUTE = click_options.flag("distribute", str, "none", "mirrored: divide each batch among the GPUs of this machine")
TRAINING: list[click.Parameter] = [
    click_options.flag("deterministic", bool, False, "make TensorFlow's operations deterministic too: the same bits every time"),
    click_options.flag("gate", bool, False, "exit with 4 when the test score is below that of the strongest baseline, however little"),
]
DRY_RUN = click_options.flag("dry_run", bool, False, "read the data, check the network, train nothing")
SEARCH: list[click.Parameter] = [
    click_options.flag(
        "dry_run", bool, False, "say what the sweep would cost, from a few networks fitted for two epochs each; keep nothing"
    ),
    click_options.flag("trials", click.IntRange(min=1), 20, "number of trials"),
    click_options.flag("tuner", str, "tpe", "tpe, random, bayesian, hyperband or grid"),
    click_options.flag(
        "workers", str, "1", "processes that run trials side by side: a number, 0 for none beside this one, or auto; not with --cluster"
    ),
    click_options.flag("cluster", str, "", "run trials on the Ray cluster at this address (auto: the one on this machine)"),
    click_options.flag("trial_epochs", click.IntRange(min=0), 0, "epochs of a trial (0: a third of the epochs of a full training)"),
    click_options.flag(
        "early_stop", str, "auto", "stop losing trials: asha, median, none (auto: median for tpe and random with one objective)"
    ),
    click_options.flag(
        "max_time", str, "", "stop the search after this time: 90s, 10m, 1h30m; the winner is trained after it; counts anew with --resume"
    ),
    click_options.flag(
        "max_epochs_total", click.IntRange(min=0), 0, "start no trial that would take all trials over so many epochs (0: no limit)"
    ),
    click_options.flag("trial_time", str, "", "give up a trial that takes longer: 90s, 10m"),
    click_options.flag("warm_from", str, "", "begin with what was found before: the id of a sweep, or auto for all winners"),
    click_options.flag("resume", str, "", "go on with the sweep of this id; repeat the flags it was started with"),
]
TRACKING: list[click.Parameter] = [
    click_options.flag("tracking_uri", str, "", "MLflow's server or store (default: MLFLOW_TRACKING_URI, else ./mlruns)"),
    click_options.flag("experiment", str, "", "MLflow experiment (default: application/dataset)"),
    click_options.flag("run_name", str, "", "name of the run in MLflow"),
    click_options.flag("no_tracking", bool, False, "keep nothing in MLflow"),
]
OUTPUT: list[click.Parameter] = [
    click_options.flag("json", bool, False, "print one JSON object"),
    click.Option(["-q", "--quiet"], is_flag=True, help="print results only"),
    click.Option(["-v", "--verbose"], is_flag=True, help="show tracebacks"),
]
MODEL: list[click.Parameter] = [
    click.Option(["--run"], default="", help="id of a run, or its beginning"),
    click.Option(["--model"], default="", help="a model.keras file"),
]
PART = click.Option(["--part"], type=click.Choice(["train", "val", "test"]), default="test", show_default=True, help="part to score")
INPUTS = click.Argument(["inputs"], nargs=-1, required=True)
ANSWERS: list[click.Parameter] = [
    click.Option(["-o", "--output"], default="", help="write the answers to this CSV or Parquet file"),
    click.Option(["--force"], is_flag=True, help="overwrite it"),
]


@appline.command()
@click.option("--tracking-uri", default="", help="MLflow's server or store (default: MLFLOW_TRACKING_URI, else ./mlruns)")
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
    """Run a command line, and leave with its exit code: see docs/errors.md."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _as_interrupt)
    verbose = any(word in arguments for word in ("-v", "--verbose"))
    try:
        code = appline.main(arguments, prog_name="appline", standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except ApplineError as error:
        _trace(verbose)
        click.echo(f"Error: {error}", err=True)
        if sweep_id := getattr(error, "sweep_id", ""):
            click.echo(_go_on(arguments, sweep_id), err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as stop:
        # click turns an interrupt into its own Abort and keeps ours as the cause.
        click.echo(_last_words(stop.__cause__ or stop, arguments), err=True)
        code = INTERRUPTED
    except Exception as error:
        _trace(verbose)
        click.echo(f"Error: {type(error).__name__}: {error}\nThis should not happen. Add -v to see where, and please report it", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _trace(verbose: bool) -> None:
    if verbose:
        traceback.print_exc()


def _as_interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _last_words(stop: BaseException, arguments: list[str]) -> str:
    """Say what an interrupted command has kept, and the command that goes on from there."""
    run_id = str(getattr(stop, "run_id", ""))
    if not run_id:
        return "Interrupted"
    if type(stop).__name__ == "SweepInterrupted":
        return f"Interrupted. {_go_on(arguments, run_id)}"
    if not getattr(stop, "kept", False):
        return "Interrupted before the first epoch had ended: nothing is kept"
    # The store that the run is in, where the command named one.
    store = [word for at, word in enumerate(arguments) if "--tracking-uri" in (word.partition("=")[0], arguments[at - 1])]
    look = shlex.join(["appline", arguments[0], "evaluate", "--run", run_id[:8], *store])
    return f"Interrupted; the best weights so far are kept. Look at them: {look}"


def _go_on(arguments: list[str], sweep_id: str) -> str:
    again = [word for at, word in enumerate(arguments) if word != "--resume" and (at == 0 or arguments[at - 1] != "--resume")]
    return f"Finished trials are kept. Go on: appline {shlex.join(again)} --resume {sweep_id[:8]}"


if __name__ == "__main__":
    main()
