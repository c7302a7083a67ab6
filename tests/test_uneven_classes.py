"""Where classes are uneven, each class counts the same, and a constant is no success."""

from collections.abc import Sequence
from dataclasses import replace as replace_field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import replace
from pipelines.errors import ImpossibleSpec, UsageError
from pipelines.evaluation import class_balance, classification
from pipelines.text.spec import TextSpec
from pipelines.vision.options import VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from pipelines.vision.spec import VisionSpec
from tests.texts import several, small, text_pipeline, write
from tuning.comparison.difference import why_unpaired
from tuning.reports import significance
from tuning.tracking.interface import Row


def uneven(each: int, rare_of: int) -> pd.DataFrame:
    """Texts of which one in `rare_of` is spam, the others ham."""
    rows = []
    for number in range(each):
        label = "spam" if number % rare_of == 0 else "ham"
        rows.append((f"{label} words number {number}", label))
    return pd.DataFrame(rows, columns=["text", "label"])


@pytest.mark.parametrize(
    ("counts", "uneven_classes"),
    [
        ([50, 50], False),
        ([64, 36], False),
        ([78, 22], False),
        ([80, 20], True),
        ([188, 12], True),
        ([30, 40, 50], False),
        ([900, 50, 50], True),
        ([0, 0], False),  # other data, of which no part is train
    ],
)
def test_classes_are_uneven_by_their_effective_number(
    counts: Sequence[int], uneven_classes: bool
) -> None:
    assert class_balance.are_uneven(np.asarray(counts)) is uneven_classes


def test_the_effective_number_of_even_classes_is_their_number() -> None:
    assert class_balance.effective_classes(np.asarray([7, 7, 7, 7])) == pytest.approx(4)


def test_balanced_accuracy_is_that_of_scikit_learn_and_the_mean_of_its_losses() -> None:
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    labels = rng.choice(4, 300, p=[0.8, 0.1, 0.1, 0.0])  # a class that does not occur
    probabilities = rng.dirichlet(np.ones(4), 300)
    occurs = probabilities * [1, 1, 1, 0]
    expected = balanced_accuracy_score(labels, occurs.argmax(axis=1))
    assert classification.scores(labels, occurs)["balanced_accuracy"] == pytest.approx(expected)
    losses = classification.losses(labels, occurs, "balanced_accuracy")
    assert 1 - losses.mean() == pytest.approx(expected)


def test_class_weights_have_a_mean_of_one_over_the_examples() -> None:
    counts = np.asarray([90, 10, 0])
    weights = class_balance.class_weights(counts)
    assert (weights * counts).tolist() == pytest.approx([50, 50, 0])


def test_the_metric_while_fitting_is_the_score_afterwards() -> None:
    from pipelines.networks.uneven_classes import BalancedAccuracy

    rng = np.random.default_rng(1)
    labels = rng.choice(3, 200, p=[0.9, 0.07, 0.03])
    probabilities = rng.dirichlet(np.ones(3), 200)
    metric = BalancedAccuracy(4)  # the fourth class does not occur
    padded = np.concatenate([probabilities, np.zeros((200, 1))], axis=1)
    for rows in np.array_split(np.arange(200), 7):
        metric.update_state(np.eye(4, dtype="float32")[labels[rows]], padded[rows])
    expected = classification.scores(labels, padded)["balanced_accuracy"]
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_uneven_texts_are_compared_in_balanced_accuracy_and_the_data_says_why(
    tmp_path: Path,
) -> None:
    path = write(uneven(200, rare_of=16), tmp_path)
    pipeline = text_pipeline(path)
    splits = pipeline.load()
    assert pipeline.headline_metric(splits).name == "balanced_accuracy"
    assert pipeline.objective_for(splits).name == "val_balanced_accuracy"
    assert any(
        note.startswith("classes are uneven (94% of train are ham)") for note in splits.notes
    )


def test_a_constant_scores_half_of_two_uneven_classes(tmp_path: Path) -> None:
    pipeline = text_pipeline(write(uneven(200, rare_of=16), tmp_path))
    splits = pipeline.load()
    most_frequent = next(pipeline.baselines(splits))
    assert most_frequent.name == "most frequent"
    scored = significance.score_baseline(pipeline, splits, most_frequent)
    assert scored.test["accuracy"] > 0.9
    assert scored.test["balanced_accuracy"] == pytest.approx(0.5)
    assert scored.losses.mean() == pytest.approx(0.5)


def test_a_metric_that_was_named_is_that_of_the_comparison_and_of_the_epochs(
    tmp_path: Path,
) -> None:
    path = write(uneven(200, rare_of=16), tmp_path)
    pipeline = text_pipeline(path, metric="accuracy")
    splits = pipeline.load()
    assert pipeline.headline_metric(splits).name == "accuracy"
    assert pipeline.objective_for(splits).name == "val_accuracy"
    assert not any("uneven" in note for note in splits.notes)


def test_even_texts_are_compared_in_accuracy(tmp_path: Path) -> None:
    pipeline = text_pipeline(write(small(30), tmp_path))
    assert pipeline.objective_for(pipeline.load()).name == "val_accuracy"


def several_labels(folder: Path, **options: Any) -> Any:
    table = several("a", "b", "a|b", each=20)
    return text_pipeline(write(table, folder), multi_label=True, **options)


def test_balanced_accuracy_of_texts_with_several_labels_is_refused(tmp_path: Path) -> None:
    pipeline = several_labels(tmp_path, metric="balanced_accuracy")
    splits = pipeline.load()
    with pytest.raises(UsageError, match="Expected: --metric accuracy"):
        pipeline.objective_for(splits)
    with pytest.raises(UsageError, match="several labels"):
        several_labels(tmp_path).objective_for(splits, "val_balanced_accuracy")


def test_class_weights_of_texts_with_several_labels_are_refused(tmp_path: Path) -> None:
    pipeline = several_labels(tmp_path)
    spec = replace(TextSpec(), {"train.class_weight": "auto"})
    with pytest.raises(ImpossibleSpec, match=r"Expected: train\.class_weight=none"):
        pipeline.check(spec, pipeline.load())


def test_texts_with_several_labels_have_the_baseline_of_a_constant(tmp_path: Path) -> None:
    pipeline = several_labels(tmp_path)
    assert next(pipeline.baselines(pipeline.load())).name == "most frequent"


def weights_and_targets(batches: Any) -> tuple[np.ndarray, np.ndarray]:
    parts = [(np.asarray(weights), np.asarray(targets)) for _, targets, weights in batches]
    weights, targets = zip(*parts, strict=True)
    return np.concatenate(weights), np.concatenate(targets)


def test_every_class_of_texts_weighs_the_same_in_the_training_alone(tmp_path: Path) -> None:
    pipeline = text_pipeline(write(uneven(200, rare_of=16), tmp_path))
    splits = pipeline.load()
    spec = replace(TextSpec(), {"train.class_weight": "auto", "start_from": "none"})
    weights, one_hot = weights_and_targets(pipeline.batches(splits, "train", spec, training=True))
    by_class = weights @ one_hot
    assert by_class[0] == pytest.approx(by_class[1])
    assert weights.mean() == pytest.approx(1)
    assert len(next(iter(pipeline.batches(splits, "val", spec, training=False)))) == 2


def test_a_mixed_up_image_has_the_mean_of_two_weights() -> None:
    pipeline = VisionPipeline(VisionOptions(limit=200))
    loaded = pipeline.load()
    # Twos are made rare.
    y = loaded.train.y
    kept = np.flatnonzero((y != 2) | (np.cumsum(y == 2) <= 2))
    splits = replace_field(loaded, train=loaded.train.take(kept))
    changes = {"train.class_weight": "auto", "augment.mixup": 0.5}
    spec = replace(VisionSpec(), changes)
    weights, targets = weights_and_targets(pipeline.batches(splits, "train", spec, training=True))
    of_class = class_balance.class_weights(splits.class_counts())
    assert of_class.argmax() == 2
    assert np.allclose(weights, targets @ of_class, rtol=1e-4)


def compared_in(metric: str) -> Row:
    """A run on some texts whose headline is `metric`."""
    return Row(
        id=metric,
        name=metric,
        status="FINISHED",
        experiment="text/uneven",
        start_time=0.0,
        end_time=1.0,
        tags={"domain": "text", "data_digest": "44067f7eb902f877"},
        params={},
        metrics={"test/accuracy": 0.9, "test/balanced_accuracy": 0.5, f"lift/{metric}": 0.1},
    )


def test_losses_in_different_metrics_are_not_paired() -> None:
    balanced, plain = compared_in("balanced_accuracy"), compared_in("accuracy")
    reason = "they were compared in different metrics, balanced_accuracy and accuracy"
    assert why_unpaired(balanced, plain) == reason
    assert why_unpaired(balanced, balanced) == ""
