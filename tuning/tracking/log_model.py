"""A run's model as MLflow keeps it: a folder that takes raw input wherever MLflow can load it.

The folder holds the code in `logged_model.py`, the package `pipelines` that it imports, the network
and its facts.
"""

import importlib.metadata
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.io.temporary import temporary_folder
from tuning.tracking.mlflow_client import Client

MODEL_CODE = Path(__file__).parent / "logged_model.py"
PIPELINES = Path(__file__).parents[2] / "pipelines"
# A function of `mlflow.utils.environment`; a version of MLflow without it has nothing to skip.
REQUIREMENTS_CHECK = "warn_dependency_requirement_mismatches"
# What a process needs that loads a logged model; `pipelines` travels with the model.
SERVING_PACKAGES = (
    "mlflow",
    "tensorflow",
    "keras",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "annotated-types",
    "charset-normalizer",
    "scikit-learn",
    "scipy",
)


def log_model(
    client: Client, experiment_id: str, run_id: str, network: Path, facts: Mapping[str, Any]
) -> str:
    """Keep the Keras model in the file `network` as the logged model of a run; return its id.

    `facts` is what `pipelines.model_file.facts_as_json` gave for it.
    """
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    logged = client.create_logged_model(
        experiment_id,
        name="model",
        source_run_id=run_id,
        params=run.data.params,
        model_type="keras",
    )
    model_id: str = logged.model_id
    try:
        with temporary_folder() as temporary, warnings.catch_warnings():
            # mlflow.pyfunc warns of its own type hints when it is imported.
            warnings.simplefilter("ignore", UserWarning)
            folder = temporary / "model"
            _write_folder(folder, network, facts, logged)
            client.log_model_artifacts(model_id, str(folder))
    except BaseException:
        client.finalize_logged_model(model_id, "FAILED")
        raise
    client.finalize_logged_model(model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    return model_id


def _write_folder(folder: Path, network: Path, facts: Mapping[str, Any], logged: Any) -> None:
    """Write an MLflow model into `folder`; `logged` is MLflow's entry for it."""
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types.schema import AnyType, ColSpec, Schema

    # Signature and requirements are both given, because MLflow would find them out by loading the
    # model, which takes 40 s. Only the output has a schema: one of the input would refuse or
    # convert what `predict_raw` reads (paths, arrays, tables with fewer columns).
    signature = ModelSignature(outputs=Schema([ColSpec(AnyType())]))
    requirements = []
    for package in SERVING_PACKAGES:
        requirements.append(f"{package}=={importlib.metadata.version(package)}")
    with _requirements_unchecked():
        save_model(
            path=str(folder),
            python_model=str(MODEL_CODE),
            code_paths=[str(PIPELINES)],
            signature=signature,
            pip_requirements=requirements,
            mlflow_model=Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=logged.source_run_id,
                model_id=logged.model_id,
            ),
        )
    shutil.copyfile(network, folder / "model.keras")
    (folder / "facts.json").write_text(json.dumps(facts))


@contextmanager
def _requirements_unchecked() -> Iterator[None]:
    """Keep MLflow from comparing requirements with what is installed: they were read from there.

    It would read the list of files of every installed package, which takes half a second.
    """
    from mlflow.utils import environment

    check = getattr(environment, REQUIREMENTS_CHECK, None)
    setattr(environment, REQUIREMENTS_CHECK, lambda requirements: None)
    try:
        yield
    finally:
        setattr(environment, REQUIREMENTS_CHECK, check)
