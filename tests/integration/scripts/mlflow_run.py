"""One MLflow run in a database that did not exist before."""

import mlflow

mlflow.set_tracking_uri("sqlite:///mlflow.db")
with mlflow.start_run(run_name="late"):
    mlflow.log_params({"depth": 3, "rate": 0.5})
    mlflow.log_metric("loss", 0.125)
