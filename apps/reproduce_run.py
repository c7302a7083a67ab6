"""`appline reproduce`: a run trained again, and what came of it."""

from typing import TYPE_CHECKING, Any

from apps import rendering, saved_runs
from apps.diff_runs import difference, signed
from apps.screen import Screen
from pipelines import options_class, pipeline_for, runtime
from pipelines.config.search_space import hyperparameters, replace
from pipelines.errors import UsageError, count_of
from pipelines.io.temporary import temporary_folder

if TYPE_CHECKING:
    from tuning.comparison.difference import Difference
    from tuning.comparison.reproduction import Reproduction
    from tuning.tracking.interface import Row

TRAINED = ("train", "final", "fold")  # roles of runs that hold a tested network
LONGEST_VALUE = 40  # characters of a value in a table
ORDER_OF_SUMS = (
    "nothing that is recorded has changed: threads and GPUs add numbers in another order each "
    "time. train --deterministic makes runs bit-identical"
)


def reproduce_run(name: str, uri: str, screen: Screen) -> None:
    """Train the run `name` again as it was, and print whether the same came of it."""
    found = reproduction(name, uri, screen)
    screen.result(_report(found), found.as_json())


def reproduction(name: str, uri: str, screen: Screen) -> "Reproduction":
    """Train the run `name` again from what it has recorded; a sweep stands for its final run.

    So do folds for the last of them, whose model is kept.

    The new run has the role `seed`, as it repeats another: it is no further use of the test part.

    Raises:
        UsageError: there is no such run, or none that can be trained again.
    """
    from tuning.tracking.provenance import DETERMINISTIC

    row = saved_runs.winner_of(saved_runs.find(name, uri), uri)
    _require_trained(row)
    options_type = options_class(row.domain)
    options = saved_runs.options_of_run(options_type, row)
    known = hyperparameters(options_type.spec_type)
    spec = replace(
        options_type.spec_type(), {key: row.params[key] for key in known if key in row.params}
    )
    options.require_weights(spec)
    (objective,) = (key.partition("/")[2] for key in row.metrics if key.startswith("best/val_"))
    with screen.progress("loading TensorFlow"):
        runtime.import_tensorflow(deterministic=DETERMINISTIC in row.tags)
    again = _train(row, pipeline_for(options), spec, objective, uri, screen)
    return _compared(difference(row.id, again, uri), uri)


def _require_trained(row: "Row") -> None:
    from tuning.comparison.reproduction import REPRODUCES
    from tuning.tracking.interface import WEIGHTS_OF

    is_repetition = row.role == "seed" and REPRODUCES in row.tags
    if (row.role not in TRAINED and not is_repetition) or row.status != "FINISHED":
        state = f"{row.role or 'no run of appline'}, {row.status}"
        raise UsageError(
            f"{row.id[:8]} cannot be trained again ({state}). Expected: a finished training or "
            "sweep. List them: appline runs"
        )
    if WEIGHTS_OF in row.tags:
        raise UsageError(
            f"{row.id[:8]} cannot be trained again: it kept the weights of {row.tags[WEIGHTS_OF]}, "
            "which had another seed and fewer epochs. Expected: a run that kept its own"
        )


def _train(row: "Row", pipeline: Any, spec: Any, objective: str, uri: str, screen: Screen) -> str:
    """Train with the settings of `row`; return the id of the new run."""
    from tuning.comparison.reproduction import REPRODUCES
    from tuning.tracking.interface import FINAL_FIT
    from tuning.training.fit import num_epochs
    from tuning.training.procedure import Procedure, RunLabels
    from tuning.training.train import train

    with screen.progress(f"reading {pipeline.options.data}"):
        splits = pipeline.load()
    if splits.digest != row.tags["data_digest"]:
        screen.say(f"note       the data has changed since: its digest is {splits.digest}")
    epochs = num_epochs(spec.train, splits.sizes()["train"])
    with screen.progress():
        result = train(
            pipeline,
            spec,
            saved_runs.open_tracker(pipeline, splits, uri, experiment=row.experiment),
            objective=pipeline.options.objective(objective),
            splits=splits,
            baselines=[],  # they take no part in the network
            labels=RunLabels(
                role="seed", name=f"{row.name}, reproduced", tags={REPRODUCES: row.id}
            ),
            on_epoch=screen.on_epoch(epochs, objective),
            procedure=Procedure(final_fit="all" if FINAL_FIT in row.params else "tested"),
        )
    return result.run_id


def _compared(found: "Difference", uri: str) -> "Reproduction":
    from tuning.comparison import reproduction
    from tuning.tracking.stored_runs import download

    run, again = found.a, found.b
    before, after = (saved_runs.test_predictions(row, uri) for row in (run, again))
    same_answers = before is not None and after is not None and before.equals(after)
    with temporary_folder() as folder:
        files = []
        for row in (run, again):
            files.append(download(row.id, "model/model.keras", folder / row.id, uri=uri))
        same_weights = reproduction.same_weights(*files)
    return reproduction.Reproduction(
        run=run,
        again=again,
        same_weights=same_weights,
        same_answers=same_answers,
        scores=reproduction.shared_scores(run, again),
        changes=reproduction.without_command(found.changes),
        paired=found.paired,
        unpaired=found.unpaired,
    )


def _report(found: "Reproduction") -> str:
    lines = [
        f"run        {found.run.id[:8]}  {found.run.experiment}  {found.run.name}",
        f"again      {found.again.id[:8]}",
        f"{found.outcome}: {_reason(found)}",
    ]
    parts = ["\n".join(lines)]
    if found.changes:
        rows = []
        for change in found.changes:
            values = [rendering.cut(value, LONGEST_VALUE) or "-" for value in (change.a, change.b)]
            rows.append([change.kind, change.key, *values])
        columns = ["what changed", "name", "run", "again"]
        parts.append(rendering.listing(columns, rows, shrinking=("run", "again")))
    elif found.outcome != "bit-identical":
        parts.append(ORDER_OF_SUMS)
    if found.moved:
        rows = []
        for key, (before, after) in found.moved.items():
            numbers = [rendering.format_number(value) for value in (before, after)]
            rows.append([key, *numbers, signed(after - before)])
        columns = ["score", "run", "again", "again - run"]
        parts.append(rendering.listing(columns, rows, numbers=columns[1:]))
    return "\n\n".join(parts)


def _reason(found: "Reproduction") -> str:
    scores = count_of(len(found.scores), "score")
    if found.outcome == "bit-identical":
        return f"the weights, the answers on test and {scores} are the same"
    moved = f"{len(found.moved)} of {scores} moved"
    if found.paired is None:
        return f"{moved}; {found.unpaired}"
    return (
        f"{moved}; the losses on test differ by {found.paired.mean:+.2g} on average, 95 % interval "
        f"{found.paired.low:+.2g} to {found.paired.high:+.2g}"
    )
