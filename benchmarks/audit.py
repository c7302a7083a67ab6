"""Plant leaks in 5 % of a set's examples and count how many the audit finds.

    python -m benchmarks.audit [--seeds 5] [--sets vision=FILE.npz text=FILE.csv ...]

What is found before anything is planted is printed too: reviews hold three true copies. Then, for
each kind, how many of those planted were found, and the CPU seconds of one audit.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.arguments import parser
from pipelines import load_data, options_class
from pipelines.forecast import audit as forecast_audit
from pipelines.forecast.data import ForecastSplits
from pipelines.recommend.data import RecommendSplits
from pipelines.splits import PARTS, Finding, Splits
from pipelines.text import audit as text_audit
from pipelines.text.data import TextSplits
from pipelines.text.texts import Texts, objects
from pipelines.vision import audit as vision_audit
from pipelines.vision.data import VisionSplits
from pipelines.vision.images import Images

SHARE = 0.05
NOISE = 0.02  # of a leaked covariate, in standard deviations of the target's changes
NUM_COVARIATES = 20
SMALLEST_PHOTO = 16  # pixels: nobody saves eight as JPEG
FEWEST_WORDS = 20  # of a text in which one in 20 can be changed
Planted = tuple[str, Splits, int]  # the kind, the splits with leaks in them, and how many


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--seeds", type=int, default=5)
    wanted.add_argument("--sets", nargs="*", default=[], metavar="DOMAIN=DATA")
    asked = wanted.parse_args()
    sets = [("vision", "digits"), ("text", "reviews"), ("forecast", "us_employment")]
    sets += [("forecast", "elecdemand"), ("recommend", "movielens")]
    sets += [(domain, data) for domain, _, data in (one.partition("=") for one in asked.sets)]
    for domain, data in sets:
        measure(domain, data, asked.seeds)


def measure(domain: str, data: str, seeds: int) -> None:
    """Print what the audit finds in a set as it is, and of what is planted there."""
    splits = load_data(options_class(domain)(data=data))
    audit, plant = AUDITS[domain], PLANTS[domain]
    if domain != "recommend":
        splits = dataclasses.replace(splits, findings=())
    began = time.process_time()
    alarms = audit(splits)
    print(f"{domain} / {splits.dataset}: {time.process_time() - began:.2f} CPU s")
    for finding in alarms:
        print(f"    as it is: {finding.sentence}")
    counts: dict[str, list[int]] = {}
    for seed in range(seeds):
        for name, planted, number in plant(splits, np.random.default_rng(seed)):
            kind = name.split(",")[0].replace(" ", "_")
            found = count(audit(planted), kind) - count(alarms, kind)
            if not number:
                continue
            whole = counts.setdefault(name, [0, 0])
            whole[0] += max(0, min(found, number))
            whole[1] += number
    for name, (found, number) in counts.items():
        print(f"    {name:40} {found:5,} of {number:5,} found: {found / number:.1%}")


def count(findings: tuple[Finding, ...], kind: str) -> int:
    return sum(finding.count for finding in findings if finding.kind == kind)


def rows_of(splits: Splits, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in test of 5 % of its examples, and as many in train."""
    sizes = splits.sizes()
    number = max(1, round(SHARE * sizes["test"]))
    test = rng.choice(sizes["test"], number, replace=False)
    return test, rng.choice(sizes["train"], number, replace=False)


# ------------------------------------------------------------------------------ vision


def plant_images(splits: VisionSplits, rng: np.random.Generator) -> Iterator[Planted]:
    test, train = rows_of(splits, rng)
    sources = splits.train.x[train]
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "exact duplicates": lambda x: x,
        "near duplicates, brighter": lambda x: 0.85 * x + 0.05 * splits.scale,
        "near duplicates, noise of 1 %": lambda x: x + rng.normal(0, splits.scale / 100, x.shape),
    }
    if splits.train.x.shape[1] >= SMALLEST_PHOTO:
        changes["near duplicates, saved as JPEG"] = lambda x: _as_jpeg(x, splits.scale)
    for name, change in changes.items():
        x = splits.test.x.astype(np.float32)
        x[test] = np.clip([change(image.astype(np.float32)) for image in sources], 0, splits.scale)
        # Of the same type, else nothing would be exactly the same.
        train_part = Images(x=splits.train.x.astype(np.float32), y=splits.train.y)
        val_part = Images(x=splits.val.x.astype(np.float32), y=splits.val.y)
        test_part = Images(x=x, y=splits.test.y)
        planted = dataclasses.replace(splits, train=train_part, val=val_part, test=test_part)
        yield name, planted, len(test)
    y = splits.train.y.copy()
    x = splits.train.x.copy()
    copies, originals = np.split(rng.permutation(len(y))[: 2 * len(test)], 2)
    x[copies] = x[originals]
    y[copies] = (y[originals] + 1) % len(splits.classes)
    train_part = Images(x=x, y=y)
    yield "conflicting labels", dataclasses.replace(splits, train=train_part), len(test)


def _as_jpeg(image: np.ndarray, scale: float) -> np.ndarray:
    """Return an image as it is after it was saved as JPEG at three times its size."""
    height, width = image.shape[:2]
    picture = Image.fromarray((image[..., 0] / scale * 255).astype(np.uint8))
    stream = BytesIO()
    picture.resize((3 * width, 3 * height)).save(stream, "JPEG", quality=75)
    small = Image.open(stream).resize((width, height))
    return np.asarray(small, np.float32)[..., None] / 255 * scale


# ------------------------------------------------------------------------------ text


def plant_texts(splits: TextSplits, rng: np.random.Generator) -> Iterator[Planted]:
    test, _ = rows_of(splits, rng)
    long = np.flatnonzero([len(text.split()) >= FEWEST_WORDS for text in splits.texts("train")])
    test = test[: len(long)]
    train = rng.choice(long, len(test), replace=False)
    sources = splits.texts("train")[train]
    words = " ".join(splits.texts("train")[:200]).split()
    changes: dict[str, Callable[[str], str]] = {
        "exact duplicates": lambda text: f"  {text.upper()} ",
        "near duplicates, a word in 20 other": lambda text: _other_words(text, words, rng),
        "near duplicates, without their end": lambda text: text[: round(0.85 * len(text))],
    }
    for name, change in changes.items():
        x = splits.test.x.copy()
        x[test] = [change(text) for text in sources]
        changed = dataclasses.replace(splits.test, x=x)
        yield name, dataclasses.replace(splits, test=changed), len(test)
    copies, originals = np.split(rng.permutation(len(splits.train.x))[: 2 * len(test)], 2)
    x, labels = splits.train.x.copy(), splits.train.labels.copy()
    x[copies] = x[originals]
    labels[copies] = objects(f"not {label}" for label in labels[originals])
    contradicting = Texts(x=x, labels=labels, origin=splits.train.origin)
    yield "conflicting labels", dataclasses.replace(splits, train=contradicting), len(test)


def _other_words(text: str, words: list[str], rng: np.random.Generator) -> str:
    changed = text.split()
    for position in rng.choice(len(changed), max(1, len(changed) // 20), replace=False):
        changed[position] = words[rng.integers(len(words))]
    return " ".join(changed)


# ------------------------------------------------------------------------------ forecast


def plant_series(splits: ForecastSplits, rng: np.random.Generator) -> Iterator[Planted]:
    lengths = np.bincount(splits.series)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    if len(lengths) > 1:
        number = max(1, round(SHARE * len(lengths)))
        whole = rng.permutation(np.flatnonzero(lengths == lengths.max()))
        raw = splits.raw.copy()
        for copy, original in zip(whole[:number], whole[number : 2 * number], strict=True):
            source = raw[bounds[original] : bounds[original + 1]]
            raw[bounds[copy] : bounds[copy + 1]] = 2.5 * source + 40
        yield "copied series, in other units", dataclasses.replace(splits, raw=raw), number
    yield _repeated(splits, rng)
    yield _with_covariates(splits, rng)


def _repeated(splits: ForecastSplits, rng: np.random.Generator) -> Planted:
    """Return splits in which pieces of train stand in test, so that 5 % of its windows repeat."""
    length = max(splits.horizon, forecast_audit.SHORTEST)
    asked = splits.starts["test"] - (length - splits.horizon)
    raw = splits.raw.copy()
    number = max(1, round(SHARE * len(asked)))
    taken = np.zeros(len(raw), bool)
    planted = 0
    for begin in rng.permutation(asked):
        source = int(rng.choice(splits.starts["train"]))
        if taken[begin : begin + length].any() or planted == number:
            continue
        taken[begin : begin + length] = True
        raw[begin : begin + length] = splits.raw[source : source + length]
        planted += 1
    return "repeated windows", dataclasses.replace(splits, raw=raw), planted


def _with_covariates(splits: ForecastSplits, rng: np.random.Generator) -> Planted:
    """Return splits with 20 covariates known in advance that are the target of other steps."""
    target = splits.rows[:, 0].astype(np.float64)
    spread = np.diff(target).std()
    columns = []
    for _ in range(NUM_COVARIATES):
        shift = int(rng.integers(1 - splits.horizon, splits.horizon + 1))
        noise = rng.normal(0, NOISE * spread, len(target))
        columns.append(3 * np.roll(target, -shift) + 3 * noise)
    names = tuple(f"leak {number}" for number in range(NUM_COVARIATES))
    rows = np.column_stack([target, *columns]).astype(np.float32)
    planted = dataclasses.replace(splits, rows=rows, columns=names, known=names)
    return "leaked future", planted, NUM_COVARIATES


# ------------------------------------------------------------------------------ recommend


def plant_interactions(splits: RecommendSplits, rng: np.random.Generator) -> Iterator[Planted]:
    table = _table(splits)
    train = table[table["split"] == "train"]
    number = max(1, round(SHARE * (table["split"] == "test").sum()))
    repeated = train.sample(number, random_state=rng).assign(split="test")
    yield "repeated pairs", _read(pd.concat([table, repeated])), number
    counts = table["user"].value_counts()
    number = max(1, round(SHARE * len(counts)))
    chosen = rng.choice(counts[counts >= 20].index.to_numpy(), number, replace=False)
    twins = table[table["user"].isin(chosen)].copy()
    twins["user"] = "twin " + twins["user"]
    yield "copied users", _read(pd.concat([table, twins])), number
    shuffled = table.assign(split=rng.permutation(table["split"]))
    tested = int((shuffled["split"] == "test").sum())
    # All targets are concerned; those that are older than what train holds are counted.
    yield "random split", _read(shuffled), round(0.5 * tested)


def _table(splits: RecommendSplits) -> pd.DataFrame:
    known = splits.item > 0
    return pd.DataFrame(
        {
            "user": [splits.people[number - 1] for number in splits.person[known]],
            "item": [splits.items[number - 1] for number in splits.item[known]],
            "rating": splits.rating[known],
            "timestamp": splits.time[known],
            "split": [PARTS[number] for number in splits.part[known]],
        }
    )


def _read(table: pd.DataFrame) -> Splits:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        table.to_csv(path, index=False)
        return load_data(options_class("recommend")(data=str(path)))


AUDITS: dict[str, Any] = {
    "vision": vision_audit.audit,
    "text": text_audit.audit,
    "forecast": forecast_audit.audit,
    # Reading has found them.
    "recommend": lambda splits: splits.findings,
}
PLANTS: dict[str, Any] = {
    "vision": plant_images,
    "text": plant_texts,
    "forecast": plant_series,
    "recommend": plant_interactions,
}

if __name__ == "__main__":
    main()
