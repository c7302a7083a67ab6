"""What texts of items are worth for films that nobody has had yet.

A fifth of the films of MovieLens loses all its rows in train and validation; only its title and
genres are known. For each user who had such films, all of these new films are ranked, and those
that the user had are looked for among them, by chance and by the texts of the films of the history.

    python -m benchmarks.item_texts [--seeds 3]

The area under the curve is the share of pairs of a film that the user had and one that he had not
which are in the right order. NDCG@10 is that of lists of ten new films.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.arguments import parser

if TYPE_CHECKING:
    import numpy as np

    from pipelines.recommend.data import RecommendSplits

NEW_SHARE = 0.2
SMALL = 1e-9  # by which equal scores are put into a random order
LIST_LENGTH = 10


def main() -> None:
    """Print a line for each seed and scorer."""
    arguments = parser(__doc__)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--encoder", default="minilm")
    given = arguments.parse_args()
    from pipelines import runtime

    runtime.import_tensorflow()
    import numpy as np
    import pandas as pd

    from pipelines.recommend import baselines
    from pipelines.recommend.item_models import ItemModel

    for seed in range(given.seeds):
        splits = _load(seed, given.encoder)
        new_films = np.flatnonzero(~splits.known_items("test"))[1:]
        cases = splits.cases("test")
        targets = pd.Series(cases.target).groupby(cases.person)
        histories = splits.histories("test")[targets.head(1).index]
        histories[np.isin(histories, new_films)] = 0
        settings = baselines.tune(splits)["item texts"].settings
        model = settings.fit(splits, splits.known_mask("test"))
        assert isinstance(model, ItemModel)
        of_texts = model.scores(histories)[:, new_films]
        by_chance = np.random.default_rng(seed).random(of_texts.shape)
        is_had = np.stack([np.isin(new_films, own) for _, own in targets])
        for name, scores in (("chance", by_chance), ("item texts", of_texts)):
            area, gain = _judged(scores + SMALL * by_chance, is_had)
            print(
                f"seed {seed}  {len(new_films)} new films, {len(is_had)} users  {name:<12}"
                f"area {area:.3f}  ndcg_10 {gain:.3f}",
                flush=True,
            )


def _load(seed: int, encoder: str) -> "RecommendSplits":
    """Return MovieLens with all rows of a fifth of the films in test, chosen by `seed`."""
    import numpy as np

    from pipelines import create_pipeline
    from pipelines.recommend.samples import SAMPLES

    log = SAMPLES["movielens"].read()
    films = log.drop_duplicates("item")[["item", "title", "genres"]]
    new = np.random.default_rng(seed).choice(
        films["item"], int(NEW_SHARE * len(films)), replace=False
    )
    is_new = log["item"].isin(new)
    earlier = log[~is_new].duplicated("user", keep="last").reindex(log.index, fill_value=False)
    part = np.select([is_new, earlier], ["test", "train"], "val")
    with tempfile.TemporaryDirectory() as folder:
        path, items = Path(folder) / "log.csv", Path(folder) / "films.csv"
        log[["user", "item", "timestamp"]].assign(split=part).to_csv(path, index=False)
        films.to_csv(items, index=False)
        data = {"data": str(path), "items": str(items), "item_texts": encoder}
        splits: RecommendSplits = create_pipeline("recommend", **data).load()
    return splits


def _judged(scores: "np.ndarray", is_had: "np.ndarray") -> tuple[float, float]:
    """Return the mean area under the curve and NDCG@10 over users, (users, new films) each."""
    import numpy as np
    from sklearn.metrics import ndcg_score, roc_auc_score

    areas = [roc_auc_score(had, own) for had, own in zip(is_had, scores, strict=True)]
    return float(np.mean(areas)), float(ndcg_score(is_had, scores, k=LIST_LENGTH))


if __name__ == "__main__":
    main()
