"""`appline`: one command line for all applications, from the arguments to an exit code.

Nothing heavy is imported here: `--help` answers at once.
"""

import contextlib
import errno
import importlib.metadata
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from apps import commands, flags, rendering, running_sweep, serve_model, shipping
from apps.click_options import (
    options_flags,
    spec_flags,
    with_cost_limits,
    without_defaults,
)
from apps.helpful_commands import Application, Applications, HelpfulCommand
from apps.quiet_plots import quiet_plots
from apps.screen import Screen
from apps.signals import INTERRUPTED, InterruptWatch, QuickEnd, end_at_once
from pipelines import DOMAINS, options_class
from pipelines.config.options import Options, Question
from pipelines.errors import ApplineError, ExternalFailure, SweepInterrupted, TrainingInterrupted
from pipelines.interrupts import NOTICED, RAISED
from pipelines.io.temporary import clear_abandoned
from tuning.tracking.secrets import HIDDEN, INSTEAD, hide_secrets

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
STORE = click.option(
    "--tracking-uri",
    default="",
    help="MLflow's server or store (default: MLFLOW_TRACKING_URI, else ./mlruns)",
)
JSON = click.option("--json", is_flag=True, help="print one JSON object")
DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
Command = Callable[[type[Options], click.Context], None]


class KnownApplications(Applications):
    """The applications by name; only the one that was asked for is imported."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*DOMAINS, *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in DOMAINS:
            return application(name)
        return super().get_command(context, name)


@click.group(cls=KnownApplications, context_settings=CONTEXT)
@click.version_option(importlib.metadata.version("appline"), prog_name="appline")
def appline() -> None:
    """Keras application pipelines, tuned with KerasTuner and tracked in MLflow."""


def application(domain: str) -> click.Group:
    """Return the commands of one application, with flags for its options and hyperparameters."""
    options_type = options_class(domain)
    spec_type = options_type.spec_type
    data = options_flags(options_type)
    training = [
        *data,
        *spec_flags(spec_type, search=False),
        flags.OBJECTIVE,
        flags.DISTRIBUTE,
        flags.SEEDS,
        flags.FOLDS,
        flags.DRY_RUN,
        *flags.TRAINING,
        *flags.TRACKING,
    ]
    params: dict[Command, list[click.Parameter]] = {
        commands.train: training,
        commands.tune: [
            *map(with_cost_limits, data),
            *spec_flags(spec_type, search=True),
            flags.OBJECTIVES,
            *flags.SEARCH,
            *flags.TRAINING,
            *flags.TRACKING,
        ],
        commands.evaluate: [
            *flags.MODEL,
            flags.PART,
            *without_defaults(data),
            *flags.TABLE,
            flags.TRACKING_URI,
        ],
        commands.predict: [
            flags.INPUTS,
            *flags.MODEL,
            *options_flags(options_type.predict_type),
            *flags.ANSWERS,
            flags.TRACKING_URI,
        ],
        shipping.export: [
            *flags.MODEL,
            *flags.EXPORT,
            *without_defaults(data),
            flags.TRACKING_URI,
        ],
        serve_model.serve: [*flags.MODEL, *flags.SERVER, flags.TRACKING_URI],
        shipping.register: [*flags.REGISTRATION, flags.TRACKING_URI],
        commands.check: [*training, flags.FIX],
        commands.datasets: [],
    }
    group = Application(domain, help=options_type.__doc__, context_settings=CONTEXT)
    for command, command_flags in params.items():
        group.add_command(_command(command, options_type, [*command_flags, *flags.OUTPUT]))
    group.add_command(_command(commands.schema, options_type, []))
    if options_type.pretrained:
        from apps.pretrained_weights import command_of

        group.add_command(command_of(options_type.pretrained))
    for question in options_type.questions:
        group.add_command(_question_command(question, options_type))
    return group


def _question_command(question: Question, options_type: type[Options]) -> click.Command:
    """Return the command of a domain's own that asks a trained model, as `predict` does."""
    params: list[click.Parameter] = [
        click.Argument(["inputs"], nargs=-1, metavar=question.metavar),
        *flags.MODEL,
        *options_flags(question.options),
        *flags.ANSWERS,
        flags.TRACKING_URI,
        *flags.OUTPUT,
    ]

    def call(**_: object) -> None:
        commands.ask(options_type, question, click.get_current_context())

    return HelpfulCommand(question.name, params=params, callback=call, help=question.help)


def _command(
    command: Command, options_type: type[Options], params: Sequence[click.Parameter]
) -> click.Command:
    def call(**_: object) -> None:
        context = click.get_current_context()
        if context.params.get("help_set"):
            click.echo(rendering.hyperparameter_table(options_type))
            return
        command(options_type, context)

    return HelpfulCommand(
        command.__name__, params=list(params), callback=call, help=command.__doc__
    )


@appline.command()
@STORE
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="port on 127.0.0.1",
)
@click.option("--no-browser", is_flag=True, help="print the links and open no browser")
def ui(tracking_uri: str, port: int, no_browser: bool) -> None:
    """Start MLflow on the right store and print a link to the comparison of each experiment."""
    from apps.ui import serve_ui

    serve_ui(tracking_uri, port, browser=not no_browser)


@appline.command()
@STORE
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="rows")
@JSON
def runs(tracking_uri: str, limit: int, json: bool) -> None:
    """List the latest trainings and sweeps, a sweep with its winner in one line."""
    from apps.list_runs import list_runs

    list_runs(tracking_uri, limit, Screen(json=json))


@appline.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@STORE
@click.option(
    "--best",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="rows for each data set, where no runs are named",
)
@click.option("--csv", default="", help="write a row for each run to this CSV file")
@click.option("--html", default="", help="write a page that can be mailed to this file")
@click.option("--force", is_flag=True, help="overwrite the files")
@JSON
def compare(
    names: tuple[str, ...],
    tracking_uri: str,
    best: int,
    csv: str,
    html: str,
    force: bool,
    json: bool,
) -> None:
    """Compare runs: score, lift over the baseline, paired test against the best, cost.

    RUN is the id of a run or of a sweep, the beginning of one, or a name. Without any, the best
    runs of each experiment are compared.
    """
    from apps.compare_runs import Output, compare_runs

    output = Output(csv=csv, html=html, force=force)
    compare_runs(names, tracking_uri, best, output, Screen(json=json))


@appline.command()
@click.argument("first", metavar="RUN_A")
@click.argument("second", metavar="RUN_B")
@STORE
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="examples of each kind that are shown",
)
@click.option("--csv", default="", help="write all mended and broken examples to this CSV file")
@click.option("--force", is_flag=True, help="overwrite it")
@JSON
def diff(
    first: str, second: str, tracking_uri: str, examples: int, csv: str, force: bool, json: bool
) -> None:
    """Say what differs between two runs, and which examples RUN_B has mended and broken.

    Settings, data, code, packages, scores with an interval, answers by class or series. A run is
    named as for `appline compare`.
    """
    from apps.diff_runs import diff_runs

    diff_runs(first, second, tracking_uri, examples, csv, force, Screen(json=json))


@appline.command()
@click.argument("name", metavar="RUN")
@STORE
@JSON
def reproduce(name: str, tracking_uri: str, json: bool) -> None:
    """Train a run again as it was, and say whether the same came of it.

    Options, hyperparameters, data and seed are those of RUN. The result is bit-identical, within
    noise, or different: then data, code, packages and machine say what changed, and by how much
    each score moved. Of a sweep its final run is trained, of folds the last one, whose model is
    kept. A run is named as for `appline compare`.
    """
    from apps.reproduce_run import reproduce_run

    reproduce_run(name, tracking_uri, Screen(json=json))


@appline.command()
@STORE
@click.option("--yes", is_flag=True, help="remove them, with their artifacts")
@JSON
def clean(tracking_uri: str, yes: bool, json: bool) -> None:
    """Show runs that failed, were killed or superseded; with --yes, remove them.

    A sweep with finished trials is kept: it can be resumed.
    """
    from apps.clean_runs import clean_runs

    clean_runs(tracking_uri, yes, Screen(json=json))


@appline.command()
@STORE
@click.option("--figure", default="", help="draw it into this file: .png, .svg or .pdf")
@click.option("--force", is_flag=True, help="overwrite the file")
@JSON
def atlas(tracking_uri: str, figure: str, force: bool, json: bool) -> None:
    """Show what kernel size, stride and filters did in every sweep of the store."""
    from apps.draw_atlas import show_atlas

    show_atlas(tracking_uri, figure, force, Screen(json=json))


@appline.command()
@click.option("--clear", is_flag=True, help="remove them; pretrained weights stay")
@JSON
def cache(clear: bool, json: bool) -> None:
    """Show the features of pretrained networks that are kept for later runs."""
    from apps.pretrained_weights import show_cache

    show_cache(clear, Screen(json=json))


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
    typed = arguments
    end = QuickEnd()
    InterruptWatch(_say, lambda: _words_inside_a_step(typed)).start()
    quiet_plots()
    clear_abandoned()
    code = run_command(arguments)
    NOTICED.set()  # nothing is left that an interrupt could end
    if code == INTERRUPTED:
        end_at_once(code)
    end.code = code
    sys.exit(code)


def run_command(arguments: list[str]) -> int:
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
        return _say_error(error, arguments)
    except (KeyboardInterrupt, click.Abort) as stop:
        NOTICED.set()
        # click turns an interrupt into its own Abort and keeps ours as the cause.
        _say(_last_words(stop.__cause__ or stop, arguments))
        return INTERRUPTED
    except Exception as error:
        if is_verbose:
            _say(traceback.format_exc())
        return _say_unexpected(error)


def _say_error(error: ApplineError, arguments: list[str]) -> int:
    """Print an error that a user can put right, and return the exit code."""
    # A library has failed because it was interrupted, and that was taken for its answer.
    if RAISED.is_set() and not isinstance(error, ExternalFailure):
        _say("Interrupted")
        return INTERRUPTED
    _say(f"Error: {error}")
    if error.sweep_id:
        _say(_resume_command(arguments, error.sweep_id))
    return error.exit_code


def _say_unexpected(error: Exception) -> int:
    """Print an error that nobody has foreseen, and return the exit code."""
    if RAISED.is_set():  # a library has made this error of the interrupt
        _say("Interrupted")
        return INTERRUPTED
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        _say(
            f"Error: the Python package {package} is not installed here, and appline needs it. "
            "Install all that it needs: pip install --upgrade appline (in a checkout: "
            "pip install -e .)"
        )
        return 1
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        where = error.filename or f"the current folder or {tempfile.gettempdir()}"
        _say(
            f"Error: {where}: {error.strerror}. Free some space or choose another disk "
            "(--tracking-uri, --output, TMPDIR)"
        )
        return 1
    _say(
        f"Error: {type(error).__name__}: {error}\n"
        "This should not happen. Add -v to see where, and please report it"
    )
    return 1


def _say(text: str) -> None:
    """Print on stderr, without the passwords of the addresses that were typed."""
    shown = hide_secrets(text)
    if HIDDEN in shown and "http" in shown:
        shown = f"{shown}\nA password is hidden. In place of it, MLflow reads {INSTEAD}"
    with contextlib.suppress(OSError):  # of a terminal that was closed
        click.echo(shown, err=True)


def _last_words(stop: BaseException, arguments: list[str]) -> str:
    """Return what an interrupted command says: what it has kept, and the command that goes on."""
    return "\n".join([_what_is_kept(stop, arguments), *getattr(stop, "__notes__", ())])


def _what_is_kept(stop: BaseException, arguments: list[str]) -> str:
    if isinstance(stop, SweepInterrupted) and stop.run_id and arguments[0] in DOMAINS:
        return f"Interrupted. {_resume_command(arguments, stop.run_id)}"
    if not isinstance(stop, TrainingInterrupted):
        return "Interrupted"
    if not stop.kept:
        return "Interrupted before the first epoch had ended: nothing of this training is kept"
    if not stop.run_id:
        return "Interrupted; nothing is kept, for there is no run (--no-tracking)"
    if arguments[0] not in DOMAINS:  # such as `reproduce`
        return f"Interrupted; the best weights so far are kept in the run {stop.run_id[:8]}"
    look = ["appline", arguments[0], "evaluate", "--run", stop.run_id[:8], *_store(arguments)]
    return f"Interrupted; the best weights so far are kept. Look at them: {shlex.join(look)}"


def _words_inside_a_step(arguments: list[str]) -> str:
    """Return what a command says that is ended inside a long step: nothing of it is kept."""
    # A demo's sweeps are short: it is run again.
    if running_sweep.run_id and arguments[0] in DOMAINS:
        return f"Interrupted. {_resume_command(arguments, running_sweep.run_id)}"
    return "Interrupted"


def _store(arguments: list[str]) -> list[str]:
    """Return the words of a command line that name its store, if any do."""
    words = []
    for position, word in enumerate(arguments):
        is_value = position > 0 and arguments[position - 1] == "--tracking-uri"
        if word.partition("=")[0] == "--tracking-uri" or is_value:
            words.append(word)
    return words


def _resume_command(arguments: list[str], sweep_id: str) -> str:
    words = ["appline", arguments[0], "tune", "--resume", sweep_id[:8], *_store(arguments)]
    command = shlex.join(words)
    return f"Finished trials are kept. Continue: {command}"


if __name__ == "__main__":
    main()
