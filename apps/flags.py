"""The flags that commands have beside those of their options and hyperparameters."""

import click

from apps.click_options import make_flag
from tuning.search.tuners import TUNERS

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
    click.Choice(["none", "mirrored", "multiworker"]),
    "none",
    "mirrored: divide each batch among the GPUs of this machine",
)
SEEDS = make_flag(
    "seeds",
    click.IntRange(min=1),
    1,
    "fit and test the network with so many seeds (same split): the verdict is over all of them, "
    "the model that of the first",
)
FOLDS = make_flag(
    "folds",
    click.IntRange(min=0),
    0,
    "cross-validate: train and test in so many folds, then fit the model that is kept to all of "
    "the data (0: one split into train, val and test)",
)
TRAINING: list[click.Parameter] = [
    make_flag(
        "deterministic",
        bool,
        False,
        "use TensorFlow's deterministic operations too: bit-identical results every time",
    ),
    make_flag(
        "strict",
        bool,
        False,
        "exit with 3, before anything is trained, when the audit finds a reason to doubt scores",
    ),
    make_flag(
        "no_baselines",
        bool,
        False,
        "leave out the simple models that the network is compared with",
    ),
    make_flag(
        "final_fit",
        click.Choice(["tested", "all"]),
        "tested",
        "the model that is kept: the tested one, or one that is then fitted to all of the data, "
        "test too, for the epochs that validation has chosen; scores stay those of the tested one",
    ),
    make_flag(
        "gate",
        bool,
        False,
        "exit with 4 when what answers is worse on test than the strongest baseline",
    ),
]
DRY_RUN = make_flag(
    "dry_run", bool, False, "read the data and check the network, but train nothing"
)
FIX = make_flag(
    "fix",
    str,
    "",
    "write a copy of the data without what the audit can take out: a new folder or .npz file of "
    "images, a new .csv or .parquet file of texts",
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
    make_flag("tuner", str, "tpe", f"how trials are chosen: {', '.join(TUNERS)}"),
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
        "stop losing trials early: asha, median or none (auto: what suits the tuner, none with "
        "several objectives)",
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
    make_flag(
        "refit_top",
        str,
        "auto",
        "fit so many of the best trials again with two fresh seeds each, and let the cheapest "
        "within noise win; 0: none (auto: up to 3, as long as the refits are at most a third of "
        "the trials)",
    ),
    make_flag("trial_time", str, "", "end a trial that takes longer: 90s, 10m"),
    make_flag(
        "min_receptive_field",
        str,
        "",
        "start no network whose features see less of an example: a number of steps, "
        "pixels, tokens or items, or auto (a season, half of the picture, a sentence, the history)",
    ),
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
        "continue the sweep of this id, as it was started; budgets such as --trials may change",
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
    click.Option(
        ["--run"],
        default="",
        help="id of a run, or its beginning; or a registered model: models:/NAME@ALIAS",
    ),
    click.Option(["--model"], default="", help="a model.keras file"),
]
REGISTRATION: list[click.Parameter] = [
    click.Option(
        ["--run"], default="", help="id of the run whose model is registered, or its beginning"
    ),
    click.Option(["--name"], default="", help="name in the registry (default: application-data)"),
    click.Option(["--alias"], default="", help="what this version is called from now on: champion"),
]
EXPORT: list[click.Parameter] = [
    click.Option(
        ["--format"],
        type=click.Choice(["keras", "savedmodel", "onnx", "tflite"]),
        default="keras",
        show_default=True,
        help="of the file; onnx and tflite hold no texts",
    ),
    click.Option(
        ["--quantize"],
        type=click.Choice(["none", "float16", "int8"]),
        default="none",
        show_default=True,
        help="make the weights of onnx and tflite smaller, and say what that costs on validation",
    ),
    click.Option(["-o", "--output"], default="", help="where to (default: application-RUN)"),
    click.Option(["--force"], is_flag=True, help="overwrite it"),
]
SERVER: list[click.Parameter] = [
    click.Option(
        ["--host"],
        default="127.0.0.1",
        show_default=True,
        help="address to listen at; 0.0.0.0: other machines can reach it, without a login",
    ),
    click.Option(
        ["--port"],
        type=click.IntRange(0, 65535),
        default=8000,
        show_default=True,
        help="port to listen at; 0: any free one",
    ),
    click.Option(
        ["--max-body"],
        type=click.FloatRange(min=0, min_open=True),
        default=16.0,
        show_default=True,
        help="largest request, in MB",
    ),
    click.Option(
        ["--timeout"],
        type=click.FloatRange(min=0, min_open=True),
        default=30.0,
        show_default=True,
        help="seconds after which a request is given up",
    ),
]
PART = click.Option(
    ["--part"],
    type=click.Choice(["train", "val", "test", "all"]),
    help="part to score (default: all of what --data names, else test)",
)
INPUTS = click.Argument(["inputs"], nargs=-1)
TABLE: list[click.Parameter] = [
    click.Option(
        ["-o", "--output"], default="", help="write a row for each to this CSV or Parquet file"
    ),
    click.Option(["--force"], is_flag=True, help="overwrite it"),
]
ANSWERS: list[click.Parameter] = [
    *TABLE,
    click.Option(
        ["--safe-csv"],
        is_flag=True,
        help="write ' before texts that a spreadsheet program would take for formulas",
    ),
]

_LISTS = (TRAINING, SEARCH, TRACKING, OUTPUT, MODEL, REGISTRATION, EXPORT, SERVER, TABLE, ANSWERS)
# The names of all of these: a config file may hold those of several commands.
FLAGS_OF_COMMANDS = frozenset(
    param.name
    for param in [
        OBJECTIVE,
        DISTRIBUTE,
        SEEDS,
        FOLDS,
        DRY_RUN,
        FIX,
        PART,
        *(one for some in _LISTS for one in some),
    ]
    if param.name
)
