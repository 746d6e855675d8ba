"""Three MLflow runs with three params and two metrics each; their ids are printed as a JSON list."""

import json

import mlflow

mlflow.set_tracking_uri("sqlite:///mlflow.db")
ids = []
for n in range(3):
    with mlflow.start_run(run_name=f"fit-{n}") as run:
        mlflow.log_params({"depth": n, "rate": 0.5, "optimizer": "adam"})
        mlflow.log_metrics({"loss": 0.125, "accuracy": 0.75})
        ids.append(run.info.run_id)
print(json.dumps(ids))
