"""The texts that the optional extra `samples` embeds, by name."""

from collections.abc import Callable, Mapping

from pipelines.errors import count_of
from pipelines.io.samples import embedded_table
from pipelines.text.texts import TextSource, as_texts

FEWEST_COURSES = 25  # of a department: with fewer, test would hold four titles or less


def _reviews() -> TextSource:
    """Read the food reviews with their official split.

    Texts that train holds twice or that test holds too are left out.
    """
    train = embedded_table("modeldata", "training_data")
    test = embedded_table("modeldata", "testing_data")
    distinct = train.drop_duplicates("review")
    kept = distinct[~distinct["review"].isin(set(test["review"]))]
    note = (
        f"{len(train) - len(kept)} of {len(train)} training texts left out: they are duplicates of "
        "other training texts or of test texts"
    )
    return TextSource(
        name="reviews",
        where="reviews",
        parts={
            "train": as_texts(kept["review"], kept["score"]),
            "test": as_texts(test["review"], test["score"]),
        },
        notes=(note,),
    )


def _courses() -> TextSource:
    """Read the titles of UCLA's courses in autumn 2018, and the department that gives each.

    Titles that several departments use ("Seminar") tell nothing and are left out, as are
    departments of few courses.
    """
    courses = embedded_table("openintro", "ucla_f18")
    distinct = courses.drop_duplicates(["subject", "course"])
    own = distinct[~distinct["course"].duplicated(keep=False)]
    sizes = own["subject"].value_counts()
    kept = own[own["subject"].isin(sizes.index[sizes >= FEWEST_COURSES])]
    note = (
        f"{len(kept)} of {count_of(len(courses), 'course')}: each title once, without those of "
        f"several departments and departments of fewer than {FEWEST_COURSES}"
    )
    return TextSource(
        name="courses",
        where="courses",
        parts={"train": as_texts(kept["course"], kept["subject"])},
        notes=(note,),
    )


SAMPLES: Mapping[str, Callable[[], TextSource]] = {"reviews": _reviews, "courses": _courses}
