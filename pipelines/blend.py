"""What answers where a network does not answer alone: the parts of a prediction and their weights.

A network may be blended with simple models by weights that were fitted on val. A weight of nought
means that the network adds nothing, whatever the blend is worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass

NETWORK = "network"  # the name of the network among the parts
NOTHING = 0.005  # a share below it is written as 0 %


@dataclass(frozen=True, kw_only=True)
class Blend:
    """The weights, 0 or more, of the parts of a prediction by their names, such as "Markov".

    The network's part is called `NETWORK`. `beside` says in a few words what else the network
    gives, where it gives something even with a weight of nought.
    """

    weights: Mapping[str, float]
    beside: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """The weights of the parts that count, over their sum."""
        total = sum(self.weights.values())
        shares = {}
        for name, weight in self.weights.items():
            if total and weight / total >= NOTHING:
                shares[name] = weight / total
        return shares

    @property
    def is_network_alone(self) -> bool:
        """Whether nothing but the network counts."""
        return list(self.shares) == [NETWORK]

    @property
    def adds_nothing(self) -> bool:
        """Whether the network's weight is nought."""
        return NETWORK not in self.shares

    def describe(self) -> str:
        """Return the parts in a few words: "60 % Markov + 40 % network", or the only one's name."""
        shares = self.shares
        if len(shares) == 1:
            return next(iter(shares))
        return " + ".join(f"{100 * share:.0f} % {name}" for name, share in shares.items())


ALONE = Blend(weights={NETWORK: 1.0})  # nothing but the network answers
