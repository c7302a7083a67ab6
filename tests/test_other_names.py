"""Who types the name of another tool is told the one of appline, as a command that can be typed."""

import re
import shlex
from pathlib import Path

import click
import pytest

from apps import other_names
from apps.cli import appline
from pipelines import DOMAINS, options_class
from pipelines.config.other_names import HYPERPARAMETERS
from pipelines.config.search_space import find, hyperparameters
from pipelines.errors import UsageError
from tests.printed_commands import parse_command

ANSWERS = [
    ("vision fit --data p", "appline vision train --data p"),
    ("text eval --run 1a", "appline text evaluate --run 1a"),
    ("text infer a.csv --run 1a", "appline text predict a.csv --run 1a"),
    ("forecast optimize", "appline forecast tune"),
    ("vision validate --data p", "appline vision check --data p"),
    ("train --data p --epochs 3", "appline vision train --data p --epochs 3"),
    ("fit", "appline vision train"),
    ("tune text --trials 3", "appline text tune --trials 3"),
    ("predict photo.png --run 1a", "appline vision predict photo.png --run 1a"),
    ("train photos", "appline vision train --data photos"),
    ("photos", "appline vision train --data photos"),
    ("recsys train", "appline recommend train"),
    ("vision photos", "appline vision train --data photos"),
    ("vision train photos", "appline vision train --data photos"),
    ("vision train --epochs 3 photos", "appline vision train --epochs 3 --data photos"),
    ("vision train my photos", "appline vision train --data 'my photos'"),
    ("vision train conv.filters=3", "appline vision train --set conv.filters=3"),
    ("vision evaluate photos --run 1a", "appline vision evaluate --data photos --run 1a"),
    ("demo photos", "appline demo --folder photos"),
    ("mlflow", "appline ui"),
    ("delete", "appline clean"),
]
FLAGS = [
    ("demo --dir photos", "--folder"),
    ("clean --yess", "--yes"),
    ("vision train --lr 0.1", "--learning-rate"),
    ("vision train -lr 0.1", "--learning-rate"),
    ("vision train --batch 8", "--batch-size"),
    ("vision train -batch_size=8", "--batch-size"),
    ("vision train --num_train_epochs 3", "--epochs"),
    ("vision train --dataset p", "--data"),
    ("vision train --model resnet", "--architecture"),
    ("vision tune --n-trials 3", "--trials"),
    ("vision evaluate --checkpoint m.keras", "--model"),
    ("forecast train --prediction-length 3", "--horizon"),
    ("text predict a.csv --out b.csv", "--output"),
    ("vision train --learn 0.1", "--learning-rate"),
    ("vision train --eppochs 3", "--epochs"),
    ("vision tune --executions-per-trial 2", "--refit-top"),
    ("vision tune --directory out", "--tracking-uri"),
    ("vision train --project_name pets", "--experiment"),
    ("text train --target sentiment", "--label-column"),
    ("runs --last 5", "--limit"),
]


def test_a_flag_that_takes_one_value_is_refused_when_it_is_given_twice() -> None:
    for words in ("--seed 1 --seed 2", "--seed=1 --label-separator x --seed=1"):
        assert "--seed takes one value. Received: 2" in refused(f"text check {words}")


def test_columns_that_are_given_twice_are_joined() -> None:
    from apps.cli import application

    check = application("text").commands["check"]
    typed = ["--text-column", "title", "--text-column", "body,more"]
    context = check.make_context("check", typed)
    assert context.params["text_column"] == "title,body,more"
    assert context.params["label_column"] == ""


def refused(words: str) -> str:
    with pytest.raises(click.UsageError) as error:
        appline.main(shlex.split(words), prog_name="appline", standalone_mode=False)
    return error.value.format_message()


@pytest.mark.parametrize(("typed", "command"), ANSWERS, ids=[typed for typed, _ in ANSWERS])
def test_the_answer_to_another_name_is_a_command_that_can_be_typed(
    typed: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    message = refused(typed)
    assert message.endswith(f": {command}")
    parse_command(command)


@pytest.mark.parametrize(("typed", "flag"), FLAGS, ids=[typed for typed, _ in FLAGS])
def test_the_flag_of_another_tool_leads_to_the_flag_here(typed: str, flag: str) -> None:
    assert refused(typed).endswith(f"Did you mean '{flag}'?")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("vision train --kernel-size 5", "--set conv.kernel_size=5"),
        ("vision tune --kernel_size 3,5,7", "--search conv.kernel_size=3,5,7"),
        ("vision tune --filters=16", "--set conv.filters=16"),
        ("text train --conv.filters 3", "--set conv.filters=3"),
        ("vision train --early-stopping 3", "--set train.patience=3"),
        ("recommend train --negatives 4", "--set negatives=4"),
        ("vision train --augment", "--set augment.flip=auto (or one of augment.shift"),
        ("text train --dropout .1", "--set embedding.dropout=.1 (or one of recurrent.dropout"),
    ],
)
def test_a_flag_that_would_be_a_hyperparameter_leads_to_set_or_search(
    typed: str, meant: str
) -> None:
    assert meant in refused(typed)


@pytest.mark.parametrize("flag", ["--nonsense", "--xyz", "-z"])
def test_a_flag_that_is_like_none_is_not_taken_for_another(flag: str) -> None:
    assert refused(f"vision train {flag}") == f"No such option {flag!r}."


@pytest.mark.parametrize("flag", ["--gpu", "--use-gpu", "--device", "--cuda"])
def test_a_flag_for_a_gpu_is_answered_with_what_happens_without_one(flag: str) -> None:
    assert "A GPU that TensorFlow finds is used without a flag" in refused(f"text train {flag}")


def test_the_version_is_a_flag() -> None:
    assert refused("version").endswith("It is a flag: appline --version")


def test_a_word_too_many_is_not_taken_for_the_data() -> None:
    assert refused("vision train --data p q").startswith("q: one word too many")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("lr", "train.learning_rate"),
        ("train.lr", "train.learning_rate"),
        ("filters", "conv.filters"),
    ],
)
def test_the_key_of_another_tool_leads_to_the_key_here(key: str, meant: str) -> None:
    known = hyperparameters(options_class("vision").spec_type)
    with pytest.raises(UsageError, match=re.escape(f"Did you mean {meant!r}?")):
        find(known, key)


def test_other_names_lead_to_names_that_exist() -> None:
    commands: set[str] = set()
    flags: set[str] = set()
    keys: set[str] = set()
    context = click.Context(appline)
    for domain in DOMAINS:
        group = appline.get_command(context, domain)
        assert isinstance(group, click.Group)
        commands |= set(group.commands)
        keys |= set(hyperparameters(options_class(domain).spec_type))
        for command in (*appline.commands.values(), *group.commands.values()):
            flags |= {flag for param in command.params for flag in param.opts}
    assert set(other_names.VERBS.values()) <= commands
    assert set(other_names.DOMAINS.values()) == set(DOMAINS)
    assert set(other_names.GLOBAL_VERBS.values()) <= set(appline.commands)
    meant = {flag for candidates in other_names.FLAGS.values() for flag in candidates}
    assert meant - flags <= {"--top"}
    assert set(HYPERPARAMETERS.values()) <= keys
