"""How labelled examples are limited and which classes are left out: `--limit`, `--min-class`."""

import numpy as np
import pytest

from pipelines.errors import UsageError
from pipelines.evaluation import splitting
from pipelines.splits import Part


def parts(train: int, val: int, test: int, classes: int = 4) -> dict[Part, np.ndarray]:
    return {
        "train": np.arange(train) % classes,
        "val": np.arange(val) % classes,
        "test": np.arange(test) % classes,
    }


def sizes(rows: dict[Part, np.ndarray]) -> dict[Part, int]:
    return {part: len(kept) for part, kept in rows.items()}


def test_a_limit_is_of_all_examples_together_and_keeps_the_proportions() -> None:
    rows = splitting.limit_parts(parts(640, 160, 200), 200, seed=0)
    assert sizes(rows) == {"train": 128, "val": 32, "test": 40}


def test_each_class_of_train_is_kept_within_the_limit() -> None:
    labels = parts(500, 100, 100, classes=50)
    rows = splitting.limit_parts(labels, 60, seed=0)
    assert sizes(rows) == {"train": 50, "val": 5, "test": 5}
    assert len(set(labels["train"][rows["train"]].tolist())) == 50


@pytest.mark.parametrize("limit", [0, 1000, 5000])
def test_a_limit_beyond_all_examples_changes_nothing(limit: int) -> None:
    rows = splitting.limit_parts(parts(640, 160, 200), limit, seed=0)
    assert sizes(rows) == {"train": 640, "val": 160, "test": 200}


def test_a_limit_below_the_number_of_classes_says_how_many_are_needed() -> None:
    with pytest.raises(UsageError, match="10 classes need 12 examples at least"):
        splitting.limit_parts(parts(100, 50, 50, classes=10), 11, seed=0)


def test_a_limit_of_any_size_is_kept_to_the_example() -> None:
    labels = parts(5, 60, 900, classes=5)
    for limit in range(7, 60):
        assert sum(sizes(splitting.limit_parts(labels, limit, seed=1)).values()) == limit


def test_what_a_limit_keeps_is_not_the_beginning_of_the_data() -> None:
    kept = splitting.subsample(np.arange(1000) % 10, 100, seed=0)
    assert len(kept) == 100
    assert kept.max() > 900


def test_small_classes_are_left_out_of_every_part_and_counted() -> None:
    labels: dict[Part, list[str]] = {
        "train": ["a", "b", "a", "b", "c"],
        "test": ["a", "c", "d"],
    }
    rows, note = splitting.without_small_classes(labels, 2)
    assert {part: kept.tolist() for part, kept in rows.items()} == {
        "train": [0, 1, 2, 3],
        "test": [0],
    }
    assert note == (
        "2 classes with fewer than 2 training examples left out, 3 examples in all: c (1), d (0)"
    )


def test_no_class_is_left_out_where_all_are_large_enough() -> None:
    rows, note = splitting.without_small_classes({"train": ["a", "b"]}, 1)
    assert rows["train"].tolist() == [0, 1]
    assert note == ""
