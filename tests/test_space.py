"""Hyperparameters as data: keys, values, spaces."""

from dataclasses import dataclass
from typing import Literal

import pytest

from pipelines import options_class
from pipelines.config.hyperparameters import ConvSpec, TrainSpec
from pipelines.config.search_space import (
    Choice,
    Dimension,
    Range,
    Scalar,
    Space,
    flatten,
    hyper,
    hyperparameters,
    parse_dimension,
    replace,
)
from pipelines.errors import UsageError
from pipelines.vision.options import VisionOptions
from pipelines.vision.spec import VisionSpec


@dataclass(frozen=True, kw_only=True)
class Tiny:
    kind: Literal["a", "b"] = hyper("a", "which")
    flag: bool = hyper(False, "on or off")
    conv: ConvSpec = ConvSpec()


def test_flatten_gives_dotted_keys_and_replace_takes_them_back() -> None:
    spec = replace(Tiny(), {"conv.kernel_size": 5, "kind": "b"})
    assert flatten(spec)["conv.kernel_size"] == 5
    assert replace(Tiny(), flatten(spec)) == spec


def test_a_composed_default_is_the_one_of_its_owner() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Other:
        train: TrainSpec = TrainSpec(epochs=7)

    assert hyperparameters(Other)["train.epochs"].default == 7


def test_texts_become_the_type_of_the_field() -> None:
    spec = replace(VisionSpec(), {"train.learning_rate": "1e-4", "conv.filters": "16"})
    assert spec.train.learning_rate == 1e-4
    assert spec.conv.filters == 16


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("conv.kernal_size", 3, "Did you mean 'conv.kernel_size'?"),
        ("kernel_size", 3, "Did you mean 'conv.kernel_size'?"),
        ("conv.padding", "sme", "Did you mean 'same'?"),
        ("conv.kernel_size", 0, "expected 1 or more. Received: 0"),
        ("conv.kernel_size", 2.5, "expected a whole number. Received: 2.5"),
        ("conv.kernel_size", True, "expected a whole number. Received: True"),
        ("head.dropout", 1.0, "less than 1"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_was_expected(
    key: str, value: object, message: str
) -> None:
    with pytest.raises(UsageError, match=r".*") as caught:
        replace(VisionSpec(), {key: value})
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_dimensions_are_read_from_text() -> None:
    known = hyperparameters(VisionSpec)
    assert parse_dimension(known["conv.kernel_size"], "3,5,7") == Choice((3, 5, 7))
    rates = parse_dimension(known["train.learning_rate"], "1e-4..1e-2:log")
    assert rates == Range(1e-4, 1e-2, log=True)
    filters = parse_dimension(known["conv.filters"], "8..64")
    assert filters == Range(8, 64)
    assert isinstance(filters, Range)
    assert filters.whole


@pytest.mark.parametrize("text", ["7..3", "3,3", "1..2:lg", "same..valid"])
def test_a_dimension_that_makes_no_sense_is_refused(text: str) -> None:
    key = "conv.padding" if "same" in text else "conv.kernel_size"
    with pytest.raises(UsageError):
        parse_dimension(hyperparameters(VisionSpec)[key], text)


def test_points_that_differ_only_in_what_does_not_matter_are_the_same() -> None:
    space = VisionOptions().space(
        VisionSpec(),
        {
            "architecture": Choice(("vgg", "transfer")),
            "conv.filters": Choice((16, 32)),
            "transfer.layers": Choice((0, 20)),
        },
    )

    def identity(architecture: str, filters: int, layers: int) -> tuple[tuple[str, Scalar], ...]:
        return space.identity(
            {"architecture": architecture, "conv.filters": filters, "transfer.layers": layers}
        )

    assert identity("vgg", 16, 0) == identity("vgg", 16, 20)
    assert identity("transfer", 16, 0) == identity("transfer", 32, 0)
    assert identity("vgg", 16, 0) != identity("vgg", 32, 0)


def test_a_grid_lists_every_point_once() -> None:
    space = Space(base=Tiny(), dimensions={"kind": Choice(("a", "b")), "conv.filters": Range(1, 3)})
    points = list(space.grid())
    assert len(points) == space.count() == 6
    assert points[0] == {"kind": "a", "conv.filters": 1}


def test_the_default_search_of_images_holds_only_known_values() -> None:
    # Raises for a value that its field refuses.
    VisionOptions().space(VisionSpec(), VisionOptions.search)


def test_a_dimension_of_values_that_a_field_refuses_is_refused() -> None:
    with pytest.raises(UsageError, match=r"conv\.kernel_size: expected 1 or more"):
        Space(base=Tiny(), dimensions={"conv.kernel_size": Choice((0, 3))})


def test_a_path_with_dots_is_no_range() -> None:
    known = hyperparameters(VisionSpec)["transfer.weights"]
    assert parse_dimension(known, "../a.h5,../b.h5") == Choice(("../a.h5", "../b.h5"))


def test_a_key_that_matters_nowhere_in_a_space_is_not_searched() -> None:
    options = options_class("recommend")
    two_tower = replace(options.spec_type(), {"architecture": "two_tower"})
    dimensions: dict[str, Dimension] = {
        "conv.kernel_size": Choice((2, 3)),
        "history": Choice((20, 50)),
    }
    space = options().space(two_tower, dimensions)
    assert space.without_effect() == ["conv.kernel_size"]
    either: dict[str, Dimension] = {**dimensions, "architecture": Choice(("two_tower", "caser"))}
    assert options().space(two_tower, either).without_effect() == []


def test_conditions_look_at_other_values_than_the_architecture_too() -> None:
    space = VisionOptions().space(
        VisionSpec(),
        {"head.units": Choice((0, 16)), "head.activation": Choice(("relu", "gelu"))},
    )
    assert not space.matters("head.activation", {"head.units": 0})
    assert space.matters("head.activation", {"head.units": 16})
    assert space.without_effect() == []
    assert space.without(["head.units"]).without_effect() == ["head.activation"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7..3", r"conv\.kernel_size: A range runs from low to high.* Expected: 3\.\.7"),
        ("3..", r"conv\.kernel_size: a range is low\.\.high or .*Received: '3\.\.'"),
        ("..7", r"conv\.kernel_size: a range is low\.\.high or .*Received: '\.\.7'"),
        ("3..3", r"conv\.kernel_size: A range has two different ends"),
    ],
)
def test_a_range_that_is_none_is_refused_with_its_hyperparameter(text: str, message: str) -> None:
    kernel_size = hyperparameters(VisionSpec)["conv.kernel_size"]
    with pytest.raises(UsageError, match=message):
        parse_dimension(kernel_size, text)


def test_a_value_that_is_listed_twice_is_refused_as_what_it_is() -> None:
    with pytest.raises(UsageError, match=r"A choice needs distinct values"):
        parse_dimension(hyperparameters(VisionSpec)["conv.filters"], "8,8")
