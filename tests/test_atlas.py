"""`appline atlas`, on a real store with sweeps of two domains."""

import itertools
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import apps.python as appline
from tests.test_compare import printed
from tuning.comparison.atlas import draw
from tuning.tracking.interface import Record
from tuning.tracking.mlflow_tracker import open_tracker


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sweep where more is better, and one where less is."""
    folder = tmp_path_factory.mktemp("atlas")
    sweeps = {
        ("vision", "best/val_accuracy", "a" * 32): {3: (0.5, 0.6), 5: (0.8, 0.9)},
        ("forecast", "best/val_pinball", "b" * 32): {3: (0.5, 0.6), 5: (0.8, 0.9)},
    }
    for (domain, metric, sweep), scores in sweeps.items():
        tracker = open_tracker(f"{domain}/data", root=folder / "mlruns")
        for kernel, values in scores.items():
            for score in values:
                tracker.record(
                    Record(
                        name="trial",
                        role="trial",
                        tags={"sweep": sweep},
                        params={"conv.kernel_size": kernel, "conv.stride": 1},
                        metrics={metric: score},
                        start_time=1.0,
                        end_time=2.0,
                    )
                )
    return folder


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_ranks_say_which_value_was_better_whatever_the_metric(store: Path) -> None:
    table = appline.atlas()
    ranks = table.set_index(["experiment", "value"])["rank"].to_dict()
    # Of four trials the ranks are 0, 1/3, 2/3 and 1.
    assert ranks == pytest.approx(
        {
            ("vision/data", 3): 1 / 6,
            ("vision/data", 5): 5 / 6,
            ("forecast/data", 3): 5 / 6,
            ("forecast/data", 5): 1 / 6,
        }
    )


def test_what_a_sweep_did_not_vary_is_left_out(store: Path) -> None:
    assert set(appline.atlas()["hyperparameter"]) == {"conv.kernel_size"}


def test_the_table_is_printed_and_drawn(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "atlas.svg"
    text = printed(capsys, "atlas", "--figure", str(figure))
    assert "no proof" in text
    assert "val_accuracy  0.8500  0.83" in text
    assert figure.read_text().startswith("<?xml")


def test_a_sweep_has_one_colour_in_all_panels_and_no_other_sweep_has_it() -> None:
    rows = []
    for sweep, keys in {"a": ["conv.stride"], "b": ["conv.kernel_size", "conv.stride"]}.items():
        for key, value in itertools.product(keys, (1, 2)):
            found = {"value": value, "trials": 2, "metric": "val_loss", "score": 0.5, "rank": 0.5}
            rows.append({"experiment": "vision/x", "sweep": sweep, "hyperparameter": key, **found})
    colours: dict[str, set[Any]] = {}
    for axes in draw(pd.DataFrame(rows)).axes:
        for line in axes.lines:
            colours.setdefault(str(line.get_label()), set()).add(line.get_color())
    assert [len(of_sweep) for of_sweep in colours.values()] == [1, 1]
    assert colours["vision/x a"] != colours["vision/x b"]


def test_a_store_without_sweeps_says_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert json.loads(printed(capsys, "atlas", "--json")) == {"values": []}
    assert list(tmp_path.iterdir()) == []
