"""The tags of a sweep's run from which it is resumed; nothing heavy is imported."""

from tuning.tracking.hidden_tags import HIDDEN

DEFINITION = f"{HIDDEN}sweep_definition"  # what its trials are, as JSON
FIRST_POINTS = f"{HIDDEN}first_points"  # the points that it tries first, as JSON
FLAGS = f"{HIDDEN}sweep_flags"  # budgets and places that it was started with, as JSON
EXHAUSTED = f"{HIDDEN}exhausted"  # "true" when every point of its space was tried
WINNER = "winner"  # of its final run: the number of the trial that it was trained as
CHOSEN_BY = "chosen_by"  # of the sweep's run and of its final run: the rule that chose the winner
# A metric of its run: how many trials it has.
TRIALS = "cost/trials"
FIELD = "network/receptive_field"  # among the limits the one that is a least, not a most
