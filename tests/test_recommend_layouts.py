"""Logs of interactions in the forms that people keep them in, each read as the same log."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import DataError, UsageError
from pipelines.recommend import data
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.options import RecommendOptions

FIRST_DAY = 1_400_000_000  # in May 2014


def walks() -> pd.DataFrame:
    """Twelve users who walk through ten items, one a day."""
    rows = []
    for user in range(12):
        for step in range(8):
            item = (3 * user + step) % 10
            time = FIRST_DAY + 86_400 * (10 * user + step)
            rows.append((user + 1, 1000 + item, 1 + (user + step) % 5, time))
    return pd.DataFrame(rows, columns=["user", "item", "rating", "time"])


def load(path: Path, **options: object) -> RecommendSplits:
    return data.load(RecommendOptions(data=str(path), **options))  # type: ignore[arg-type]


def said(splits: RecommendSplits) -> str:
    return " ".join(splits.notes)


def histories(splits: RecommendSplits) -> list[list[str]]:
    """Return the items of each user, in the order of the log."""
    rows: dict[int, list[str]] = {}
    for person, item in zip(splits.person, splits.item, strict=True):
        rows.setdefault(int(person), []).append(splits.items[item - 1])
    return list(rows.values())


def expected() -> list[list[str]]:
    return [list(items.map(str)) for _, items in walks().groupby("user")["item"]]


def days(times: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(times, unit="s").dt.strftime(form)


# --------------------------------------------------------------------------- files without a header


def test_clicks_hold_the_time_before_the_item(tmp_path: Path) -> None:
    """YooChoose: session, time, item, category, without a header."""
    log = walks()
    clicks = pd.DataFrame(
        {
            "session": log["user"],
            "time": days(log["time"], "%Y-%m-%dT%H:%M:%S.277Z"),
            "item": 214_530_000 + log["item"],
            "category": 0,
        }
    )
    clicks.to_csv(tmp_path / "clicks.dat", header=False, index=False)
    splits = load(tmp_path / "clicks.dat")
    assert splits.items[0] == "214531000"
    assert splits.num_items == 10
    assert splits.time.max() == log["time"].max()
    assert "read as user, timestamp, item, column 4" in said(splits)


def test_columns_without_names_are_told_by_what_they_hold(tmp_path: Path) -> None:
    """Taobao: user, item, category, behaviour, time; Gowalla: user, time, place, place, item."""
    log = walks()
    taobao = log[["user", "item"]].assign(category=7, behaviour="pv", time=log["time"])
    taobao.to_csv(tmp_path / "UserBehavior.csv", header=False, index=False)
    splits = load(tmp_path / "UserBehavior.csv")
    assert histories(splits) == expected()
    assert "user=column 1, item=column 2, time=column 5" in said(splits)
    gowalla = log[["user"]].assign(
        time=days(log["time"], "%Y-%m-%dT%H:%M:%SZ"), north=30.2, east=-97.7, item=log["item"]
    )
    gowalla.to_csv(tmp_path / "gowalla.txt", sep="\t", header=False, index=False)
    splits = load(tmp_path / "gowalla.txt")
    assert histories(splits) == expected()
    assert "user=column 1, item=column 5, time=column 2" in said(splits)


def test_a_file_of_movielens_ending_may_have_a_header(tmp_path: Path) -> None:
    """HetRec's user_artists.dat has one."""
    log = walks().rename(columns={"user": "userID", "item": "artistID", "rating": "weight"})
    log[["userID", "artistID", "weight"]].to_csv(
        tmp_path / "user_artists.dat", sep="\t", index=False
    )
    splits = load(tmp_path / "user_artists.dat", split="leave-last")
    assert histories(splits) == expected()
    assert "user=userID, item=artistID; not used: weight" in said(splits)


def test_blanks_may_separate_columns(tmp_path: Path) -> None:
    """SASRec's files: a user and an item on each line."""
    log = walks()
    lines = [f"{user} {item}" for user, item in zip(log["user"], log["item"], strict=True)]
    (tmp_path / "beauty.txt").write_text("\n".join(lines))
    splits = load(tmp_path / "beauty.txt", split="leave-last")
    assert histories(splits) == expected()
    (tmp_path / "torn.txt").write_text("\n".join([*lines, "7"]))
    with pytest.raises(DataError):
        load(tmp_path / "torn.txt", split="leave-last")


def test_names_may_have_the_types_of_recbole(tmp_path: Path) -> None:
    log = walks()
    log.columns = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
    log.to_csv(tmp_path / "ml.inter", sep="\t", index=False)
    splits = load(tmp_path / "ml.inter")
    assert histories(splits) == expected()
    assert "user=user_id, item=item_id, rating=rating, time=timestamp" in said(splits)


# --------------------------------------------------------------------------- histories and baskets


@pytest.mark.parametrize("mark", ["|", ";", " ", ",", ", "])
def test_lists_of_a_user_may_have_any_mark(mark: str, tmp_path: Path) -> None:
    rows = [(user, mark.join(items)) for user, items in enumerate(expected(), start=1)]
    pd.DataFrame(rows, columns=["user", "items"]).to_csv(tmp_path / "log.csv", index=False)
    splits = load(tmp_path / "log.csv")
    assert histories(splits) == expected()
    assert "column 'items' holds lists" in said(splits)
    assert "time=position" in said(splits)


def test_a_line_may_be_a_user_with_all_items(tmp_path: Path) -> None:
    """LightGCN's train.txt."""
    lines = []
    for user, items in enumerate(expected()):
        lines.append(" ".join([str(user), *items[: 8 - user % 3]]))
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    splits = load(tmp_path / "train.txt")
    assert histories(splits)[0] == expected()[0]
    assert [len(items) for items in histories(splits)] == [8, 7, 6] * 4
    assert "a user and their items" in said(splits)


def test_a_line_may_be_a_basket(tmp_path: Path) -> None:
    """The groceries of arules: the goods of one purchase on each line."""
    lines = []
    for user, items in enumerate(expected()):
        lines.append(",".join(f"whole milk {item}" for item in items[: 8 - user % 4]))
    (tmp_path / "groceries.csv").write_text("\n".join(lines) + "\n")
    splits = load(tmp_path / "groceries.csv")
    assert splits.people[0] == "1"
    assert histories(splits)[1] == [f"whole milk {item}" for item in expected()[1][:7]]


def test_one_torn_line_makes_no_baskets_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    walks().to_csv(path, index=False)
    path.write_text(path.read_text() + "1,2,3,4,5,6\n")
    with pytest.raises(DataError, match="line 98"):
        load(path)


@pytest.mark.parametrize("as_text", [False, True])
def test_json_may_be_an_object_of_users(tmp_path: Path, as_text: bool) -> None:
    whole: dict[str, object] = {}
    for user, items in enumerate(expected(), start=1):
        whole[str(user)] = items[: 8 - user % 2] if as_text else list(map(int, items))
    (tmp_path / "log.json").write_text(json.dumps(whole))
    splits = load(tmp_path / "log.json")
    assert "an object of 12 users with their items" in said(splits)
    assert histories(splits)[1] == expected()[1]


def test_json_of_columns_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps(walks().to_dict("list")))
    assert histories(load(tmp_path / "log.json")) == expected()


def test_a_matrix_of_users_by_items_holds_a_rating_in_each_filled_cell(tmp_path: Path) -> None:
    log = walks()
    matrix = log.pivot(index="user", columns="item", values="rating")
    matrix.to_csv(tmp_path / "matrix.csv")
    splits = load(tmp_path / "matrix.csv")
    assert "a matrix of 12 users by 10 items; each filled cell is a rating" in said(splits)
    assert splits.task == "rate"
    assert len(splits.item) == len(log)
    assert splits.rating.sum() == log["rating"].sum()
    matrix.notna().astype(int).to_csv(tmp_path / "ones.csv")
    splits = load(tmp_path / "ones.csv", split="leave-last")
    assert len(splits.item) == len(log)
    assert not splits.rated


# ----------------------------------------------------------------------------- columns and numbers


@pytest.mark.parametrize(
    ("names", "expected_note"),
    [
        (("customer no", "film", "watched on"), "user=customer no, item=film, time=watched on"),
        (("Client Number", "Product Code", "Bought"), "user=Client Number, item=Product Code"),
        (("who", "what", "when"), "user=who, item=what, time=when"),
        (("visitorid", "itemid", "when"), "user=visitorid, item=itemid, time=when"),
        (("order_id", "product_id", "add_to_cart_order"), "time=add_to_cart_order"),
    ],
)
def test_other_names_are_taken_where_the_guess_is_plain(
    names: tuple[str, ...], expected_note: str, tmp_path: Path
) -> None:
    log = walks()[["user", "item", "time"]]
    if "order" not in names[2]:
        log["time"] = days(log["time"], "%Y-%m-%d %H:%M")
    log.set_axis(list(names), axis=1).to_csv(tmp_path / "log.csv", index=False)
    splits = load(tmp_path / "log.csv")
    assert histories(splits) == expected()
    assert expected_note in said(splits)


def test_ids_and_years_of_films_are_no_times(tmp_path: Path) -> None:
    """Numbers of nine digits would be seconds of 1976."""
    log = walks()[["user", "item"]].assign(year=[1990 + row % 20 for row in range(96)])
    log["item"] += 214_530_000
    log.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(DataError, match="no time column"):
        load(tmp_path / "log.csv")


def test_ratings_may_have_commas_before_decimals(tmp_path: Path) -> None:
    log = walks()
    log["rating"] = log["rating"].map(lambda rating: f"{rating},5")
    log.to_csv(tmp_path / "log.csv", sep=";", index=False)
    splits = load(tmp_path / "log.csv")
    assert splits.rating.max() == 5.5
    assert "a comma stands before decimals" in said(splits)


def test_bad_rows_are_left_out_on_demand_and_counted(tmp_path: Path) -> None:
    log = walks().astype(object)
    log.loc[3, "rating"] = "good"
    log.loc[5, "time"] = "yesterday"
    log.loc[7, "item"] = None
    log.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(DataError, match="--drop-missing"):
        load(tmp_path / "log.csv")
    splits = load(tmp_path / "log.csv", drop_missing=True)
    assert len(splits.item) == 93
    assert "3 rows of 96 left out" in said(splits)


# ------------------------------------------------------------------------ quantities and repeats


def orders() -> pd.DataFrame:
    """Orders of a shop in Britain: everybody buys one of two favourites again and again."""
    rows = []
    for user in range(12):
        for step in range(8):
            item = (3 * user + step % 2) % 10
            time = FIRST_DAY + 86_400 * (10 * user + step)
            rows.append((f"A{step}", 85_000 + item, 1 + step, time, 17_000 + user))
    columns = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "CustomerID"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(InvoiceDate=days(table["InvoiceDate"], "%d/%m/%Y %H:%M"))


def test_repeats_are_dropped_unless_they_are_asked_for(tmp_path: Path) -> None:
    orders().to_csv(tmp_path / "orders.csv", index=False)
    with pytest.raises(DataError, match="leave-last needs 3"):
        load(tmp_path / "orders.csv")
    splits = load(tmp_path / "orders.csv", keep_repeats=True)
    assert len(splits.item) == 96
    assert "12 of 12 test targets are items that their users have had before" in said(splits)
    assert splits.seen("test").nnz == 0
    assert splits.owned("test").nnz > 0
    assert splits.describe()["interactions"] == "96, with repeats"


def test_without_times_the_same_row_twice_is_a_repeat(tmp_path: Path) -> None:
    orders()[["CustomerID", "StockCode"]].to_csv(tmp_path / "orders.csv", index=False)
    splits = load(tmp_path / "orders.csv", keep_repeats=True, split="leave-last")
    assert len(splits.item) == 96


def test_to_rate_nothing_is_had_again(tmp_path: Path) -> None:
    walks().to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(UsageError, match="--task rank"):
        load(tmp_path / "log.csv", keep_repeats=True, task="rate")


def test_returns_are_left_out_with_the_column_of_quantities(tmp_path: Path) -> None:
    table = orders()
    table.loc[::8, "Quantity"] *= -1
    table.to_csv(tmp_path / "orders.csv", index=False)
    noted = load(tmp_path / "orders.csv", keep_repeats=True)
    assert "'Quantity' holds 12 negative numbers" in said(noted)
    assert "--weight-column Quantity" in said(noted)
    assert noted.weight is None
    splits = load(tmp_path / "orders.csv", keep_repeats=True, weight_column="quantity")
    assert len(splits.item) == 84
    assert "12 rows of 96 left out: the 'Quantity' is 0 or less, as of returns" in said(splits)
    assert splits.weight is not None
    assert np.allclose(np.unique(splits.weight), np.log2(1 + np.arange(2, 9)))
    assert splits.digest != noted.digest


# ---------------------------------------------------------- reported by users of others


def test_large_ids_are_no_times(tmp_path: Path) -> None:
    """Surprise, issue 91: as milliseconds these items would be of 1973."""
    log = walks()
    log["item"] += 104_000_100_000
    log["rating"] = log["rating"] * 9.8528296941751
    log[["user", "item", "rating"]].to_csv(
        tmp_path / "aman.data", sep="\t", header=False, index=False
    )
    splits = load(tmp_path / "aman.data")
    assert splits.task == "rate"
    assert splits.items[0] == "104000101000"


def test_columns_called_ids_are_users_and_items(tmp_path: Path) -> None:
    """LightFM, issues 638 and 561; the second with NULL where nothing was booked."""
    log = walks()
    trainings = log[["user", "item"]].set_axis(["User-Id", "Training-Id"], axis=1)
    trainings.assign(TrainingTaken=10).to_csv(tmp_path / "taken.csv", index=False)
    splits = load(tmp_path / "taken.csv", split="leave-last")
    assert "user=User-Id, item=Training-Id; not used: TrainingTaken" in said(splits)
    bookings = log[["user", "item"]].set_axis(["booking_id", "deal_id"], axis=1).astype(str)
    bookings.loc[[3, 7], "deal_id"] = "NULL"
    bookings.to_csv(tmp_path / "bookings.csv", index=False)
    with pytest.raises(DataError, match="lines 5, 9: column 'deal_id' is empty, or NULL"):
        load(tmp_path / "bookings.csv", split="leave-last")
    assert load(tmp_path / "bookings.csv", split="leave-last", drop_missing=True).num_items == 10


def test_a_matrix_may_call_its_corner_as_it_likes(tmp_path: Path) -> None:
    matrix = walks().pivot(index="user", columns="item", values="rating")
    path = tmp_path / "matrix.csv"
    matrix.astype("Int64").to_csv(path, sep=";", na_rep="-", index_label="U/I")
    assert "a matrix of 12 users by 10 items; each filled cell is a rating" in said(load(path))


def test_customers_with_a_point_are_as_without(tmp_path: Path) -> None:
    """Online Retail II, where gaps made numbers with a point of customers."""
    table = orders().rename(columns={"CustomerID": "Customer ID", "InvoiceNo": "Invoice"})
    table["Customer ID"] = table["Customer ID"].astype(float)
    table.loc[5, "Customer ID"] = None
    table.to_csv(tmp_path / "retail.csv")
    splits = load(tmp_path / "retail.csv", keep_repeats=True, drop_missing=True)
    assert splits.users[0] == "17000"
    assert "user=Customer ID, item=StockCode, time=InvoiceDate" in said(splits)


def test_blanks_in_a_file_of_recbole(tmp_path: Path) -> None:
    """RecBole, issue 2000."""
    log = walks()[["user", "item", "time"]]
    log.columns = ["user_id:token", "Item_id:token", "timestamp:float"]
    log.to_csv(tmp_path / "own.inter", sep=" ", index=False)
    assert histories(load(tmp_path / "own.inter")) == expected()


def test_a_date_and_a_time_of_day_are_one_time(tmp_path: Path) -> None:
    times = pd.to_datetime(walks()["time"], unit="s")
    parts = {"date": times.dt.strftime("%d/%m/%Y"), "time": times.dt.strftime("%H:%M")}
    table = walks()[["user", "item"]].assign(**parts)
    table.to_csv(tmp_path / "log.csv", index=False)
    splits = load(tmp_path / "log.csv")
    assert "times are read from the columns date, time" in said(splits)
    assert histories(splits) == histories(load_walks(tmp_path))


def test_year_month_and_day_are_one_time_but_the_year_of_a_film_is_none(tmp_path: Path) -> None:
    times = pd.to_datetime(walks()["time"], unit="s").dt
    parts = {"year": times.year, "month": times.month, "day": times.day}
    walks()[["user", "item"]].assign(**parts).to_csv(tmp_path / "log.csv", index=False)
    assert histories(load(tmp_path / "log.csv")) == histories(load_walks(tmp_path))
    walks().assign(year=1999, month=5).to_csv(tmp_path / "films.csv", index=False)
    assert "time=time; not used: year, month" in said(load(tmp_path / "films.csv"))


def load_walks(folder: Path) -> RecommendSplits:
    walks()[["user", "item", "time"]].to_csv(folder / "walks.csv", index=False)
    return load(folder / "walks.csv")


def test_lines_of_one_length_may_be_histories_too(tmp_path: Path) -> None:
    rows = [[user, *(1000 + (3 * user + step) % 20 for step in range(8))] for user in range(12)]
    text = "\n".join(" ".join(map(str, row)) for row in rows)
    (tmp_path / "train.txt").write_text(text)
    splits = load(tmp_path / "train.txt")
    assert "each line is read as a user and their items, the oldest first" in said(splits)
    assert len(splits.item) == 12 * 8


def test_columns_in_german_are_known_and_names_of_users_are_no_titles(tmp_path: Path) -> None:
    names = {"user": "Kunde", "item": "Artikel", "rating": "Bewertung", "time": "Datum"}
    table = walks().rename(columns=names)
    table["Datum"] = pd.to_datetime(table["Datum"], unit="s").dt.strftime("%d.%m.%Y")
    table.to_csv(tmp_path / "log.csv", sep=";", index=False)
    assert "user=Kunde, item=Artikel, rating=Bewertung, time=Datum" in said(
        load(tmp_path / "log.csv")
    )
    called = walks().rename(columns={"user": "name", "item": "product"})
    called.to_csv(tmp_path / "called.csv", index=False)
    assert "title" not in said(load(tmp_path / "called.csv"))


def test_a_row_with_too_many_values_is_left_out_on_demand(tmp_path: Path) -> None:
    text = walks().to_csv(index=False) + "1,1003,5,1400000000,x\n"
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match="line 98: has 5 values"):
        load(tmp_path / "log.csv")
    splits = load(tmp_path / "log.csv", drop_missing=True)
    assert "1 row with more values than the header left out (line 98)" in said(splits)


# ------------------------------------------------------------------------- what may be misread


def test_ids_with_blanks_around_them_are_one_user(tmp_path: Path) -> None:
    log = walks().astype(str)
    plain = log.copy()
    log.loc[::2, "user"] += " "
    for name, table in (("blanks", log), ("plain", plain)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    blanks = load(tmp_path / "blanks.csv")
    assert histories(blanks) == histories(load(tmp_path / "plain.csv"))


def test_lists_of_objects_are_no_lists_of_ids(tmp_path: Path) -> None:
    rows = []
    for user, log in walks().groupby("user"):
        items = [{"id": item, "ts": place} for place, item in enumerate(log["item"].tolist())]
        rows.append(json.dumps({"user": user, "items": items}))
    (tmp_path / "lists.jsonl").write_text("\n".join(rows))
    with pytest.raises(DataError, match="lists of objects with the keys id, ts"):
        load(tmp_path / "lists.jsonl")


def test_a_folder_is_refused_with_the_log_in_it(tmp_path: Path) -> None:
    for name in ("movies.csv", "ratings.csv", "users.csv"):
        walks().to_csv(tmp_path / name, index=False)
    with pytest.raises(DataError, match=f"--data {tmp_path}/ratings.csv"):
        load(tmp_path)


@pytest.mark.parametrize(("lowest", "is_said"), [(0, True), (-1, True), (1, False)])
def test_a_lowest_rating_that_may_mean_not_rated_is_pointed_at(
    lowest: int, is_said: bool, tmp_path: Path
) -> None:
    log = walks()
    log.loc[::4, "rating"] = lowest
    log.to_csv(tmp_path / "log.csv", index=False)
    assert ("stands for 'not rated'" in said(load(tmp_path / "log.csv"))) == is_said


@pytest.mark.parametrize("words", [["0", "1"], ["False", "True"]])
def test_a_column_of_yes_and_no_that_is_not_used_is_said(words: list[str], tmp_path: Path) -> None:
    log = walks().drop(columns="rating").assign(liked=words * 48)
    log.to_csv(tmp_path / "log.csv", index=False)
    notes = said(load(tmp_path / "log.csv"))
    assert "column 'liked' says yes and no and is not used" in notes
    assert ("--rating-column liked" in notes) == (words == ["0", "1"])


def test_places_in_several_baskets_of_a_user_are_no_times(tmp_path: Path) -> None:
    log = walks().drop(columns=["rating", "time"])
    log["add_to_cart_order"] = 1 + log.groupby("user").cumcount() % 4
    log.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises((DataError, UsageError), match="no time column"):
        load(tmp_path / "log.csv")


def test_movielens_100k_has_its_titles_and_genres(tmp_path: Path) -> None:
    log = walks()
    rows = log[["user", "item", "rating", "time"]].to_numpy().tolist()
    (tmp_path / "u.data").write_text("\n".join("\t".join(map(str, row)) for row in rows))
    items = []
    for item in sorted(set(log["item"])):
        flags = ["0"] * 19
        flags[item % 2 + 1] = "1"
        facts = [str(item), f"Movie {item} (1995)", "01-Jan-1995", "", f"http://us.imdb.com/{item}"]
        items.append("|".join([*facts, *flags]))
    (tmp_path / "u.item").write_text("\n".join(items))
    splits = load(tmp_path / "u.data")
    assert "Movie 1000 (1995)" in splits.describe()["items"]
    assert splits.describe()["features"] == "2 (Action, Adventure)"
    asked = load(tmp_path / "u.data", items=str(tmp_path / "u.item"))
    assert asked.describe()["features"] == "2 (Action, Adventure)"


def test_a_refusal_says_which_columns_were_guessed(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    rows = [f"a text about tea number {number},{number % 3}" for number in range(40)]
    path.write_text("\n".join(["review,label", *rows]))
    guess = (
        "The columns were guessed: user=review, item=label. Name others: --user-column NAME "
        "--item-column NAME"
    )
    with pytest.raises(DataError) as caught:
        data.load(RecommendOptions(data=str(path)))
    assert str(caught.value).endswith(guess)
    one_named = RecommendOptions(data=str(path), user_column="review", split="leave-last")
    with pytest.raises(DataError, match=r"guessed: item=label\. Name others: --item-column NAME$"):
        data.load(one_named)


def test_columns_of_usual_names_are_not_said_to_be_guessed(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("userId,movieId\n" + "".join(f"u{n},i{n}\n" for n in range(40)))
    with pytest.raises(DataError) as caught:
        data.load(RecommendOptions(data=str(path), split="leave-last"))
    assert "guessed" not in str(caught.value)


def test_users_below_their_items_are_read_as_the_netflix_prize_has_them(tmp_path: Path) -> None:
    log = walks()
    log["date"] = pd.to_datetime(log["time"], unit="s").dt.strftime("%Y-%m-%d")
    lines = []
    for item, rows in log.groupby("item"):
        lines += [f"{item}:", *rows[["user", "rating", "date"]].to_csv(index=False).split("\n")[1:]]
    path = tmp_path / "combined_data_1.txt"
    path.write_text("\n".join(lines))
    plain = tmp_path / "plain.csv"
    log[["user", "item", "rating", "date"]].to_csv(plain, index=False)
    assert load(path).digest == load(plain).digest
    path.write_text("1:\n7,3,2005-09-06\n8,3\n2:\n7,1,2005-09-08\n")
    with pytest.raises(DataError, match="line 3: expected an item such as 17: or, below it"):
        load(path)


@pytest.mark.parametrize(
    ("columns", "user"),
    [
        ({"Order ID": "order", "Customer Name": "user"}, "Customer Name"),
        ({"userId": "nobody", "sessionId": "user"}, "sessionId"),
        ({"order_id": "user", "customer_segment": "nobody"}, "order_id"),
    ],
)
def test_people_count_before_baskets_and_empty_columns(
    columns: dict[str, str], user: str, tmp_path: Path
) -> None:
    log = walks().assign(order=lambda rows: "o" + rows.index.astype(str), nobody="NA")
    table = pd.DataFrame({name: log[source] for name, source in columns.items()})
    table[["itemId", "time"]] = log[["item", "time"]]
    table.to_csv(tmp_path / "log.csv", index=False)
    splits = load(tmp_path / "log.csv")
    assert any(f"columns: user={user}, item=itemId" in note for note in splits.notes)


def test_ids_of_items_that_look_like_milliseconds_are_ids_beside_ratings(tmp_path: Path) -> None:
    log = walks()
    rows = []
    for user, item, rating in log[["user", "item", "rating"]].itertuples(index=False):
        rows.append(f"{user}\t10400010000{item}\t{rating}.25")
    (tmp_path / "aman.data").write_text("\n".join(rows))
    splits = load(tmp_path / "aman.data", split="random")
    assert splits.items[0].startswith("10400010000")
    assert splits.rated
