"""ETTh1 and ETTh2 by the published protocol, scored by MSE and MAE over 7 channels.

The protocol: rows 8640/2880/2880, z-scores by train, and every window.

    python benchmarks/etth.py FOLDER
    python benchmarks/etth.py FOLDER --sets ETTh1 --horizons 96 --set architecture=nhits

FOLDER holds ETTh1.csv and ETTh2.csv (github.com/zhouhaoyi/ETDataset, CC BY-ND 4.0). One line for
each set and horizon: the ridge regression, then the network that starts from it. Both sets at
horizons 96, 192, 336 and 720 take about 20 minutes on two cores. Expected of ridge on ETTh1: .370
.403 .426 .430, mean .407.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a bare clone runs

from pipelines import create_pipeline, runtime
from pipelines.config.search_space import replace
from pipelines.forecast.spec import ForecastSpec

# Small and short: the ridge regression is nearly all there is to learn here, and val is a poor
# guide to test.
SPEC = {
    "conv.kernel_size": 24,
    "conv.stride": 12,
    "conv.filters": 16,
    "conv.blocks": 1,
    "attention.layers": 1,
    "nhits.blocks": 2,
    "nhits.pool_size": 24,
    "linear.trend_window": 24,
    "train.epochs": 2,
    "train.learning_rate": 5e-4,
}
# Values only: the models of the published tables see no calendar.
OPTIONS: dict[str, Any] = {
    "target": "*",
    "lookback": 336,
    "split": "8640/2880/2880",
    "point": "mean",
    "calendar": False,
}
HEADER = "set    horizon  ridge MSE/MAE  network MSE/MAE  WQL    covered 90 %  epoch  seconds"


def run(path: Path, horizon: int, values: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return test scores of ridge and network for one set and one horizon."""
    runtime.import_tensorflow()
    from tuning.training.fit import fit
    from tuning.training.monitor import Watch

    pipeline = create_pipeline("forecast", data=str(path), horizon=horizon, seed=seed, **OPTIONS)
    splits = pipeline.load()
    *_, ridge = pipeline.baselines(splits)
    ridge_scores = pipeline.score(ridge.predictions["test"], splits, "test")
    del ridge  # 600 MB at horizon 720
    spec = replace(ForecastSpec(), values)
    pipeline.check(spec, splits)
    watch = Watch(objective=pipeline.objective_for(splits, "val_mse"))
    fitted = fit(pipeline, spec, splits, seed=seed, watch=watch)
    pipeline.calibrate(fitted.model, splits)
    predictions = pipeline.predict(fitted.model, splits, "test")
    return {
        "ridge": ridge_scores,
        "network": pipeline.score(predictions, splits, "test"),
        "seconds": fitted.spent.seconds,
        "best_epoch": fitted.best_epoch,
    }


def line(name: str, horizon: int, result: dict[str, Any]) -> str:
    """Return the line of one set and horizon."""
    ridge, network = result["ridge"], result["network"]
    return (
        f"{name}  {horizon:7}  {ridge['scaled_mse']:.4f}/{ridge['scaled_mae']:.4f}  "
        f"{network['scaled_mse']:.4f}/{network['scaled_mae']:.4f}    {network['wql']:.4f} "
        f"{network['coverage_90']:12.3f}  {result['best_epoch']:5}  {result['seconds']:7.0f}"
    )


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default="ETTh1,ETTh2")
    parser.add_argument("--horizons", default="96,192,336,720")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a hyperparameter, as `appline forecast train --set` takes it",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    values = {**SPEC, **dict(pair.split("=", 1) for pair in arguments.set)}
    lines_to = sys.stderr if arguments.json else sys.stdout
    rows = []
    print(HEADER, file=sys.stderr)
    for name in arguments.sets.split(","):
        for horizon in map(int, arguments.horizons.split(",")):
            began = time.perf_counter()
            result = run(arguments.folder / f"{name}.csv", horizon, values, arguments.seed)
            seconds = time.perf_counter() - began
            rows.append({"set": name, "horizon": horizon, **result, "total_seconds": seconds})
            print(line(name, horizon, result), flush=True, file=lines_to)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
