"""What a saved recommender knows beside its network."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pipelines.pipeline import ServingFacts
from pipelines.recommend.options import Task


@dataclass(frozen=True, kw_only=True)
class RecommendFacts(ServingFacts):
    """What recommending needs to know beside the network.

    User number u is `users[u - 1]`, item number i is `items[i - 1]`, as in the data;
    `histories[u - 1]` are the numbers of the user's items, all parts together. The columns are
    those that the training data was read by, empty where they were guessed. With `repeats`, users
    have items several times, and what they had may come again. `untrained` are the numbers of items
    that nobody has had: their texts alone rank them, and the network's vectors of them are chance.
    """

    task: Task
    user_column: str
    item_column: str
    users: list[str]
    items: list[str]
    titles: list[str]
    histories: list[list[int]]
    rating_range: list[float]  # the lowest and the highest; empty without ratings
    repeats: bool
    untrained: list[int]

    @cached_property
    def user_numbers(self) -> Mapping[str, int]:
        """The number of each user by its id."""
        return {name: number for number, name in enumerate(self.users, start=1)}

    @cached_property
    def item_numbers(self) -> Mapping[str, int]:
        """The number of each item by its id."""
        return {name: number for number, name in enumerate(self.items, start=1)}
