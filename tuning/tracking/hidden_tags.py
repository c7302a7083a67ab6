"""The beginning of tags that only programs read."""

# MLflow's pages show no tag that begins with `mlflow.`.
HIDDEN = "mlflow.appline."
