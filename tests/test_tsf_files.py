"""Files of the Monash forecasting archive, .tsf."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import DataError
from pipelines.forecast.data import load
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.tsf_files import read_tsf

HEAD = """# Dataset Information
@relation tourism
@attribute series_name string
@attribute start_timestamp date
@frequency {step}
@horizon 4
@missing true
@equallength false
@data
"""


def values(rows: int = 90) -> str:
    return ",".join(f"{10 + np.sin(step / 2):.4f}" for step in range(rows))


def archive(folder: Path, *series: str, step: str = "monthly", head: str = HEAD) -> Path:
    path = folder / "tourism.tsf"
    path.write_text(head.format(step=step) + "\n".join(series) + "\n", encoding="cp1252")
    return path


@pytest.mark.parametrize(
    ("step", "start", "label", "second"),
    [
        ("monthly", "1990-03-15 00-00-00", "MS", "1990-04-01"),
        ("quarterly", "1984-02-01 00-00-00", "QS", "1984-05-01"),
        ("yearly", "1984-07-01 12-00-00", "YS", "1985-07-01"),
        ("weekly", "2012-02-01 00-00-00", "7D", "2012-02-08"),
        ("daily", "2012-02-28 00-00-00", "D", "2012-02-29"),
        ("half_hourly", "2012-01-01 00-30-00", "30min", "2012-01-01 01:00"),
        ("10_minutes", "2012-01-01 00-00-00", "10min", "2012-01-01 00:10"),
        ("4_seconds", "2019-08-01 00-00-04", "4s", "2019-08-01"),
    ],
)
def test_series_begin_at_their_start_and_go_on_in_the_steps_of_the_file(
    step: str, start: str, label: str, second: str, tmp_path: Path
) -> None:
    path = archive(tmp_path, f"Zürich:{start}:{values()}", f"T2:{start}:{values()}", step=step)
    splits = load(ForecastOptions(data=str(path), horizon=4, lookback=12))
    assert splits.names == ("T2", "Zürich")
    assert splits.frequency.label == label
    assert splits.frequency.text(1) == second
    assert len(splits.raw) == 180
    assert splits.raw[:2].tolist() == [10.0, 10.4794]
    assert any("names a horizon of 4 steps: --horizon 4" in note for note in splits.notes)


def test_a_question_mark_is_a_missing_value_of_its_line(tmp_path: Path) -> None:
    path = archive(tmp_path, f"T1:1990-01-01 00-00-00:{values()},?,{values(5)}")
    options = ForecastOptions(data=str(path), horizon=4, lookback=12)
    with pytest.raises(DataError, match=r"line 10: the target is empty.*--fill interpolate"):
        load(options)
    assert np.isnan(read_tsf(path).frame["target"][0][90])


def test_series_without_names_starts_and_steps_are_numbered(tmp_path: Path) -> None:
    head = "@attribute state string\n@data\n"
    path = archive(tmp_path, f"NSW:{values()}", f"VIC:{values()}", head=head)
    splits = load(ForecastOptions(data=str(path), horizon=4, lookback=12))
    assert splits.names == ("T1", "T2")
    assert splits.frequency.kind == "integer"


@pytest.mark.parametrize(
    ("series", "step", "message"),
    [
        (
            "T1:1990-01-01 00:00:00:1,2",
            "monthly",
            "line 10: expected series_name:start",
        ),
        ("T1:1990-01-01 00-00-00:1,2,x", "monthly", "line 10: 'x' is no number"),
        ("T1:1990-01-01 00-00-00:1,2", "lunar", "@frequency lunar is unknown. Expected one of"),
        ("T1:soon:1,2", "daily", "line 10: from 'soon' on in steps of 'D' are no times"),
        ("", "daily", "holds no series below @data"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(
    series: str, step: str, message: str, tmp_path: Path
) -> None:
    path = archive(tmp_path, series, step=step)
    with pytest.raises(DataError, match=message):
        load(ForecastOptions(data=str(path)))


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: expected @attribute, @frequency and @data"):
        read_tsf(archive(tmp_path, head="series,time,value\n"))
    with pytest.raises(DataError, match="has no line @data"):
        read_tsf(archive(tmp_path, head="@frequency daily\n"))
