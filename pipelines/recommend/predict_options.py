"""What a person may set when a trained recommender is asked. Read by `--help`: nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, TypeAlias

from annotated_types import Ge

from pipelines.config.options import Explain, PredictOptions, option
from pipelines.errors import UsageError
from pipelines.io.paths import require_new_file
from pipelines.io.picture_files import require_explain

AtLeastOne: TypeAlias = Annotated[int, Ge(1)]
VECTOR_SUFFIXES = (".csv", ".parquet")
VECTORS_HELP = (
    "write the items' vectors to this CSV or Parquet file, for a search index; see "
    "docs/recommend.md for what their dot products are"
)


@dataclass(frozen=True, kw_only=True)
class RecommendPredictOptions(PredictOptions):
    """What may be set for `recommend predict`."""

    top: AtLeastOne = option(10, "how many items each user gets")
    exclude: str = option(
        "",
        "a file of items that nobody gets: one id a line, or a table; with a column of users too, "
        "of what each of them does not get",
    )
    repeat: bool = option(
        False, "items of the history may be answered too (a model of --keep-repeats does so anyway)"
    )
    new_only: bool = option(
        False, "leave out items of the history, also where the model was trained with repeats"
    )
    explain: Explain = option(
        "",
        "say in a column `because` which items of the history have moved each score, by how much "
        "(the score less the one without this item), and draw it for each row into this folder",
    )
    all_users: bool = option(False, "answer all users that the model knows; needs no input")
    user_column: str = option("", "column of the users (default: as in the training data)")
    history_column: str = option("", "column of lists of items (default: history, items, sequence)")
    vectors: str = option("", VECTORS_HELP)
    query_vectors: str = option(
        "", "write the vector of each row of the input too, to search that index with"
    )

    of_requests: ClassVar[tuple[str, ...]] = (
        "skip_unreadable",
        "top",
        "repeat",
        "new_only",
        "explain",
    )

    @property
    def needs_input(self) -> bool:
        return not (self.all_users or self.vectors)

    def check(self, inputs: tuple[str, ...], force: bool) -> None:
        if self.all_users and inputs:
            raise UsageError(
                f"--all-users answers all users that the model knows, and {inputs[0]} was given "
                "too. Leave out one of them"
            )
        if self.repeat and self.new_only:
            raise UsageError("--repeat and --new-only exclude each other. Leave out one of them")
        if self.query_vectors and len(inputs) > 1:
            raise UsageError("--query-vectors is of one input. Give one file at a time")
        if self.exclude and not Path(self.exclude).expanduser().is_file():
            raise UsageError(
                f"--exclude {self.exclude}: is no regular file. Expected item ids, one a line"
            )
        require_explain(self.explain, force)
        require_vectors_file("--vectors", self.vectors, force)
        require_vectors_file("--query-vectors", self.query_vectors, force)


@dataclass(frozen=True, kw_only=True)
class SimilarOptions(PredictOptions):
    """What may be set for `recommend similar`."""

    top: AtLeastOne = option(10, "how many items are named for each")
    vectors: str = option("", VECTORS_HELP)

    @property
    def needs_input(self) -> bool:
        return not self.vectors

    def check(self, inputs: tuple[str, ...], force: bool) -> None:
        require_vectors_file("--vectors", self.vectors, force)


def require_vectors_file(flag: str, name: str, force: bool) -> None:
    """Refuse a file that vectors cannot be written to.

    Raises:
        UsageError: the message says what is wrong with the path.
    """
    if not name:
        return
    path = Path(name)
    if path.suffix.lower() not in VECTOR_SUFFIXES:
        raise UsageError(
            f"{flag} {path}: vectors are written as {' or '.join(VECTOR_SUFFIXES)}. "
            f"Received: {path.suffix or 'no suffix'}"
        )
    require_new_file(flag, path, force)
