"""How often the test part of a data set was looked at: a part that choices are made on is no test.

Dwork et al., "The reusable holdout: preserving validity in adaptive data analysis" (2015).
"""

from tuning.tracking.interface import Role, Tracker

# Runs of a sweep that read train and val alone, those that repeat another one, for nobody chooses
# among the seeds of a network, and those that sum up others.
WITHOUT_TEST: tuple[Role, ...] = ("sweep", "trial", "baseline", "seed", "folds")
OFTEN = 5  # models scored on one test part, from which on its best score is a chosen one
MOST_USES = 1000


def count_uses(tracker: Tracker, data_digest: str) -> int:
    """Return how many finished models of the whole store were scored on this data's test part."""
    rows = tracker.rows(
        data_digest=data_digest,
        without_roles=WITHOUT_TEST,
        status="FINISHED",
        limit=MOST_USES,
        everywhere=True,
    )
    return sum(any(name.startswith("test/") for name in row.metrics) for row in rows)


def often_used(uses: int) -> list[str]:
    """Return a note where a test part was used often, this time among them."""
    if uses < OFTEN:
        return []
    return [
        f"the test part of this data was used {uses:,} times: treat it as validation, and keep "
        "new data for a test"
    ]
