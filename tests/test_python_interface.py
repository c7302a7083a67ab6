"""The Python interface, by the very code that its page shows."""

import re
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

import apps.python as appline
from pipelines.errors import UsageError
from tests.samples import small_log, small_series, small_texts

PAGE = Path(__file__).parent.parent / "docs" / "python.md"


def sections() -> dict[str, str]:
    """Return the code below each heading of the page."""
    found = {}
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S):
        blocks = re.findall(r"```python\n(.*?)```", body, re.S)
        if blocks:
            found[heading] = "".join(blocks)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data that the page names, and no store yet."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label < 3 and number < 200:
            path = tmp_path / "pets" / f"kind-{label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15).astype("uint8")).resize((16, 16)).save(path)
    small_texts(tmp_path / "opinions.csv")
    small_series(tmp_path / "load.csv", rows=800)
    small_log(tmp_path / "ratings.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("heading", sections())
def test_the_code_of_the_page_runs(
    heading: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(sections()[heading], f"{PAGE}: {heading}", "exec"), {"appline": appline})
    assert capsys.readouterr().out


def test_a_result_says_in_a_line_what_it_is(folder: Path) -> None:
    opinions = appline.pipeline("text", data="opinions.csv")
    result = appline.train(
        opinions,
        {"architecture": "fasttext", "embedding.width": 8, "train.epochs": 2},
        track=False,
        progress=False,
    )
    assert repr(result).startswith("TrainResult(text / opinions: The blend of ")
    scores = result.scores()
    baselines = [baseline.name for baseline in result.baselines]
    assert list(scores.index) == ["answer: blend", "network alone", *baselines]
    assert scores.loc["answer: blend", "accuracy"] == result.test["accuracy"]
    assert scores.loc["network alone", "accuracy"] == result.alone_test["accuracy"]


def test_other_data_is_scored_whole_and_the_models_own_data_by_its_test_part(folder: Path) -> None:
    opinions = appline.pipeline("text", data="opinions.csv")
    spec = {"architecture": "fasttext", "embedding.width": 8, "train.epochs": 1}
    result = appline.train(opinions, spec, progress=False)
    model = appline.load_model(result.run_id)
    own = model.evaluate(opinions)
    assert len(own.table()) == opinions.load().sizes()["test"]
    assert own.scores()["accuracy"] == pytest.approx(result.test["accuracy"])

    rows = (folder / "opinions.csv").read_text().splitlines()
    (folder / "later.csv").write_text("\n".join(rows[:8]))
    later = appline.pipeline("text", data="later.csv")
    assert len(model.evaluate(later).table()) == 7
    whole = appline.pipeline("text", data="./opinions.csv")
    assert len(model.evaluate(whole, "all").table()) == len(rows) - 1


def test_unknown_options_and_hyperparameters_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'image_size'"):
        appline.pipeline("vision", image_sise=32)
    with pytest.raises(UsageError, match="vision has no option 'search'"):
        appline.pipeline("vision", search="")
    with pytest.raises(UsageError, match="Did you mean 'vision'"):
        appline.pipeline("visoin")
    with pytest.raises(UsageError, match=r"Did you mean 'conv\.kernel_size'"):
        appline.train(appline.pipeline("vision"), {"conv.kernel_sise": 3})


def test_every_public_name_has_a_docstring() -> None:
    assert all(getattr(appline, name).__doc__ for name in appline.__all__)
