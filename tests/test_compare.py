"""`appline runs` and `appline compare`, on a real store."""

import dataclasses
import json
import re
import time
from pathlib import Path

import pandas as pd
import pytest

import apps.python as appline
from apps import leaderboard_text, saved_runs
from apps.cli import main
from tests.stored_runs_samples import open_store, swept, trained
from tuning.comparison.headline import lift_of
from tuning.comparison.leaderboard import Standing
from tuning.tracking.interface import Record, Row

FEW, MANY = (0, 1), tuple(range(14))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store of three trainings and a sweep."""
    folder = tmp_path_factory.mktemp("compare")
    tracker = open_store(folder)
    trained(tracker, "good", FEW, kernel=5)
    trained(tracker, "bad", MANY)
    trained(tracker, "without losses", MANY[:10], keeps_losses=False)
    swept(tracker, wrong=(0, 1, 2))
    return folder


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    captured = capsys.readouterr()
    assert ended.value.code == 0, captured.err
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code != 0
    return capsys.readouterr().err


# --- runs


def test_runs_show_a_sweep_and_its_winner_in_one_line(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, "runs").splitlines()
    (line,) = [line for line in lines if "sweep" in line]
    assert "tpe sweep on pets, 4 trials" in line
    assert "accuracy ↑  0.8500  beats k-nearest neighbours" in line
    assert not any("final" in line for line in lines)


def test_runs_fit_80_columns(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps import rendering

    monkeypatch.setattr(rendering, "_room", lambda: 80)
    columns = ("run", "name", "score")
    row = ["01234567", "a name " * 20, "0.5"]
    table = rendering.listing(columns, [row], numbers=("score",), shrinking=("name",))
    assert max(map(len, table.splitlines())) == 80
    assert table.splitlines()[-1].endswith("…    0.5")


def test_runs_of_an_empty_folder_leave_it_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "There are no runs yet" in printed(capsys, "runs")
    assert "There are no runs yet" in printed(capsys, "compare")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["runs", "compare"])
def test_a_misspelt_store_is_no_such_store(
    store: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    said = refused(capsys, verb, "--tracking-uri", "mlrun")
    assert "no such store" in said
    assert "Did you mean 'mlruns'?" in said


# --- compare


def test_without_names_the_best_runs_stand_on_one_board_the_best_one_first(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (board,) = json.loads(printed(capsys, "compare", "--json"))["boards"]
    assert [run["score"] for run in board["runs"]] == [0.9, 0.85, 0.5, 0.3]
    assert board["direction"] == "max"
    best = board["runs"][0]
    assert (best["name"], best["network"]) == ("good", "vgg k5 s1 f8")
    assert (best["seconds"], best["weights"], best["ms"]) == (12.0, 1234.0, 0.5)


def test_the_cheapest_within_noise_stands_below_the_board(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (board,) = json.loads(printed(capsys, "compare", "--json"))["boards"]
    final = next(run for run in board["runs"] if run["name"] == "final")
    assert board["cheapest_within_noise"] == final["run"]
    said = "617 weights against 1,234 of the best"
    line = next(line for line in printed(capsys, "compare").splitlines() if said in line)
    assert line.startswith(f"cheapest within noise: {final['run'][:8]}")
    # The two that do not tie with it are no choice, whatever they cost.
    good, bad = (run["run"] for run in board["runs"] if run["name"] in ("good", "bad"))
    alone = json.loads(printed(capsys, "compare", good, bad, "--json"))["boards"][0]
    assert alone["cheapest_within_noise"] is None


def test_runs_are_paired_with_the_best_and_corrected_for_their_number(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = json.loads(printed(capsys, "compare", "--json"))["boards"][0]["runs"]
    outcomes = {run["name"]: run["against_best"] for run in runs}
    assert outcomes == {
        "good": "best",
        "final": "tie",
        "without losses": "not paired",
        "bad": "worse",
    }
    # 12 broken and none mended: 2 / 2^12, times the two runs that were tested.
    (bad,) = [run for run in runs if run["name"] == "bad"]
    assert bad["p_value"] == pytest.approx(2 * 2 / 2**12)
    assert bad["difference"] == pytest.approx(-0.6)


def test_the_board_says_metric_direction_and_tests(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "compare")
    assert "vision/pets: test accuracy (higher is better), data 01234567" in text
    assert "worse p <.001" in text
    assert "+0.400 [+0.300, +0.500]" in text
    assert "corrected by Holm" in " ".join(text.split())


def test_a_sweep_stands_for_its_final_run(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "compare", "good", "tpe sweep on pets", "--json")
    names = [run["name"] for run in json.loads(text)["boards"][0]["runs"]]
    assert names == ["good", "final"]


def test_runs_on_different_data_are_not_paired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = open_store(tmp_path)
    trained(tracker, "one", FEW)
    trained(tracker, "other", MANY, digest="fedcba9876543210")
    monkeypatch.chdir(tmp_path)
    text = printed(capsys, "compare", "one", "other")
    assert "worse" not in text
    assert "tested on different data, 01234567 (pets), fedcba98 (pets)" in text


def test_runs_of_a_moved_store_are_still_paired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "before").mkdir()
    tracker = open_store(tmp_path / "before")
    trained(tracker, "good", FEW)
    trained(tracker, "bad", MANY)
    (tmp_path / "before").rename(tmp_path / "after")
    monkeypatch.chdir(tmp_path / "after")
    assert "worse p <.001" in printed(capsys, "compare")


def test_a_name_that_no_run_has_is_refused(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'good'?" in refused(capsys, "compare", "goood")


def test_a_table_and_a_page_are_written_and_not_overwritten(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, page = tmp_path / "runs.csv", tmp_path / "runs.html"
    printed(capsys, "compare", "--csv", str(table), "--html", str(page))
    assert list(pd.read_csv(table)["name"]) == ["good", "final", "without losses", "bad"]
    html = page.read_text()
    assert "<svg" in html
    width = int(re.search(r'<svg [^>]*width="(\d+)"', html)[1])  # type: ignore[index]
    centres = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">', html)
    assert centres
    assert all(30 <= float(x) <= width - 30 for x in centres), "no number is cut off"
    assert "worse p &lt;.001" in html
    for outside in ("http://", "https://", "<script", "<img", "<link"):
        assert outside not in html
    assert "exists already" in refused(capsys, "compare", "--csv", str(table))


def test_python_returns_the_board_as_a_table(store: Path) -> None:
    table = appline.compare("good", "bad")
    assert list(table["against_best"]) == ["best", "worse"]
    assert len(appline.compare(best=2)) == 2


@pytest.mark.slow
def test_two_thousand_runs_are_compared_within_three_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = open_store(tmp_path)
    for number in range(2000):
        tracker.record(
            Record(
                name=f"run {number}",
                role="train",
                tags={"domain": "vision", "data_digest": "0123"},
                params={f"conv.p{key}": key for key in range(30)},
                metrics={"test/accuracy": number / 2000},
                start_time=time.time(),
                end_time=time.time(),
            )
        )
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    text = printed(capsys, "compare", "--json", "--best", "3")
    assert time.monotonic() - began < 3
    names = [run["name"] for run in json.loads(text)["boards"][0]["runs"]]
    assert names == ["run 1999", "run 1998", "run 1997"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("final 7 · vgg k3 s1 f32 · accuracy 0.97", "final 7"),
        ("vgg k3 s1 f32 · accuracy 0.97", ""),
        ("my first one · accuracy 0.97", "my first one"),
    ],
)
def test_a_name_does_not_say_again_what_other_columns_say(name: str, shown: str) -> None:
    params = {"conv.kernel_size": "3", "conv.stride": "1", "conv.filters": "32"}
    row = Row(
        id="1",
        name=name,
        status="FINISHED",
        experiment="vision/pets",
        start_time=0.0,
        end_time=None,
        tags={},
        params={"architecture": "vgg", **params},
        metrics={},
    )
    standing = Standing(run=row, score=0.97, against_best=None, p_value=1.0, is_best=True)
    assert leaderboard_text.own_name(standing, "accuracy") == shown


def test_a_network_without_convolutions_is_not_called_by_a_kernel_size() -> None:
    params = {"conv.kernel_size": "3", "conv.stride": "1", "conv.filters": "32"}
    names = []
    for architecture in ("vgg", "transfer"):
        row = Row(
            id="1",
            name="one",
            status="FINISHED",
            experiment="vision/pets",
            start_time=0.0,
            end_time=None,
            tags={},
            params={"architecture": architecture, **params},
            metrics={},
        )
        standing = Standing(run=row, score=0.5, against_best=None, p_value=1.0, is_best=True)
        names.append(standing.network)
    assert names == ["vgg k3 s1 f32", "transfer"]


def test_a_lift_whose_interval_was_not_kept_is_none(store: Path) -> None:
    (row,) = saved_runs.latest("", 1)
    name = "lift/accuracy"
    whole = {name: 0.1, "lift/low": 0.05, "lift/high": 0.15}
    assert lift_of(dataclasses.replace(row, metrics=whole), "accuracy") == (0.1, 0.05, 0.15)
    for lost in whole:
        metrics = {key: value for key, value in whole.items() if key != lost}
        assert lift_of(dataclasses.replace(row, metrics=metrics), "accuracy") is None
