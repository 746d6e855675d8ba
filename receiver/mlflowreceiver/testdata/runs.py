"""Log runs of every kind with the real MLflow; print what was logged as JSON: {name: {...}}.

usage: runs.py TRACKING_URI ARTIFACTS
"""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

database, artifacts = sys.argv[1:]
mlflow.set_tracking_uri(database)
client = MlflowClient()
experiment = client.create_experiment("demo runs", artifact_location=artifacts)
mlflow.set_experiment("demo runs")
truth = {}

# Nested three deep, with params of every type and metrics with a history.
params = {
    "layers": 2,
    "learning_rate": 0.01,
    "tiny": 1e-05,
    "big": 12345678901234567890,
    "batch_norm": True,
    "swa": False,
    "optimizer": "adam",
    "nothing": None,
    "version": "1.10",
    "leading": "007",
    "negative": -3,
    "float_one": 1.0,
    "empty_list": [],
    "text_nan": float("nan"),
    "exp": 1e22,
    "unicode": "größe µ 模型",
    "key/with.odd-chars": "x",
}
truth_of_data = Path(artifacts).parent / "lattice.npz"
np.savez(truth_of_data, image=np.arange(6))
with mlflow.start_run(run_name="outer") as outer:
    mlflow.log_param("search", "grid")
    with mlflow.start_run(run_name="middle", nested=True) as middle:
        with mlflow.start_run(run_name="inner", nested=True) as inner:
            mlflow.log_params(params)
            mlflow.log_param("model_path", str(truth_of_data))
            history = [0.5, 0.25, float("nan"), 0.75]
            for step, value in enumerate(history):
                mlflow.log_metric("loss", value, step=step)
            mlflow.log_metric("up", float("inf"))
            mlflow.log_metric("down", float("-inf"))
            mlflow.log_metric("only_nan", float("nan"))
            mlflow.log_metric("models", 3.0)
            mlflow.set_tag("stage", "train")
            mlflow.set_tag("mlflow.note.content", "a remark")
            mlflow.log_text("hello", "notes/hello.txt")
            data = mlflow.data.from_numpy(np.arange(6).reshape(3, 2), source=str(truth_of_data), name="lattice")
            mlflow.log_input(data, context="training")
truth["outer"] = {"id": outer.info.run_id}
truth["middle"] = {"id": middle.info.run_id}
truth["inner"] = {
    "id": inner.info.run_id,
    "params": {k: str(v) for k, v in params.items()},
    "path": str(truth_of_data),
    "digest": data.digest,
    "artifact_uri": inner.info.artifact_uri,
}

try:
    with mlflow.start_run(run_name="fails") as run:
        truth["fails"] = {"id": run.info.run_id}
        raise RuntimeError("boom")
except RuntimeError:
    pass


def plain(name: str, **more: str) -> str:
    run = client.create_run(experiment, run_name=name)
    truth[name] = {"id": run.info.run_id, **more}
    return run.info.run_id


client.set_terminated(plain("killed"), "KILLED")
plain("open")
client.update_run(plain("scheduled"), status="SCHEDULED")
client.delete_run(plain("deleted"))
restored = plain("restored")
client.delete_run(restored)
client.restore_run(restored)
late = plain("late")
client.set_terminated(late)
client.log_param(late, "late_param", "1")
client.log_metric(late, "late_metric", 5.0)
back = plain("back_dated")
client.log_metric(back, "m", 1.0, timestamp=1, step=5)
client.log_metric(back, "m", 2.0, timestamp=0, step=0)
client.set_terminated(back)
# What MLflow takes though its columns are whole numbers.
parts = client.create_run(experiment, run_name="fractions", start_time=1500.5).info.run_id
truth["fractions"] = {"id": parts}
for epoch in (0.5, 1.0, 1.5):
    client.log_metric(parts, "loss", 2 - epoch, timestamp=epoch * 1000.25, step=epoch)
client.set_terminated(parts, end_time=2500.75)
secret = plain("secret")
client.log_param(secret, "db_password", "hunter2")
client.log_param(secret, "max_tokens", "512")
client.log_param(secret, "url", "postgresql://ada:hunter2@db.example.org/runs")
client.set_tag(secret, "api_token", "hunter2")
client.set_terminated(secret)

# Logged model, registered, with an alias; and a run that uses it.


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


with mlflow.start_run(run_name="model") as run:
    info = mlflow.pyfunc.log_model(name="net", python_model=Model(), pip_requirements=[])
    version = mlflow.register_model(info.model_uri, "lattice-net")
client.set_registered_model_alias("lattice-net", "champion", version.version)
truth["model"] = {"id": run.info.run_id, "model_id": info.model_id, "version": str(version.version)}

print(json.dumps({"truth": truth, "experiment": experiment, "script": Path(sys.argv[0]).stem}))
