"""Evaluate the best models on images they never saw, and choose where to measure next."""

import json
import os
import pickle
import warnings
from pathlib import Path

import mlflow
import numpy as np
from matplotlib.figure import Figure

from labbook import command_line, file_record, note, now

PATCH, STEP, MARGIN = 16, 8, 4  # as the models were trained
EXPERIMENT = "defect detection"

warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted")


def predict(model, image: np.ndarray, defects: np.ndarray) -> tuple:
    """Return the true labels and the predicted probabilities of all patches of an image."""
    starts = range(0, image.shape[0] - PATCH + 1, STEP)
    windows = [np.s_[y : y + PATCH, x : x + PATCH] for y in starts for x in starts]
    centre = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    truth = np.array([defects[window][centre].any() for window in windows])
    return truth, model.predict_proba([image[window].ravel() for window in windows])[:, 1]


def plot(image: np.ndarray, probability: np.ndarray, title: str) -> Figure:
    """Draw an image beside the probability of a defect that the model gives."""
    side = int(len(probability) ** 0.5)
    figure = Figure(figsize=(6, 3), dpi=70)
    left, right = figure.subplots(1, 2)
    left.imshow(image, cmap="gray")
    right.imshow(probability.reshape(side, side), vmin=0, vmax=1)
    figure.suptitle(title)
    return figure


def evaluate(model_path: Path, rank: int, found: dict, images: list, parent: str) -> dict:
    """Evaluate one model in an MLflow run of its own; return what the lab book should know."""
    name = model_path.stem
    with mlflow.start_run(run_name=name, nested=True) as run:
        params = {"model_path": str(model_path.resolve()), "rank": rank, **found["parameters"]}
        mlflow.log_params(params)
        mlflow.set_tag("stage", "evaluation")
        model_file = file_record(model_path)
        model = pickle.loads(model_path.read_bytes())
        history, inputs, worst = {"mse": [], "accuracy": []}, [], {"mse": -1.0}
        errors, hits = [], []
        for step, path in enumerate(images):
            with np.load(path) as file:
                image, defects, position = file["image"], file["defects"], file["position"]
            data = mlflow.data.from_numpy(image, source=str(path.resolve()), name=path.stem)
            mlflow.log_input(data, context="testing")
            inputs.append({"name": path.stem, "digest": data.digest, **file_record(path)})
            truth, probability = predict(model, image, defects)
            errors.append(float(np.mean((probability - truth) ** 2)))
            hits.append(float(np.mean((probability > 0.5) == truth)))
            # Mean over the images so far: the last step is the mean over all of them.
            history["mse"].append(float(np.mean(errors)))
            history["accuracy"].append(float(np.mean(hits)))
            mlflow.log_metrics({key: values[-1] for key, values in history.items()}, step=step)
            if errors[-1] > worst["mse"]:
                worst = {"mse": errors[-1], "image": str(path), "position": position.tolist()}
                figure = plot(image, probability, f"{name} on {path.stem}")
        mlflow.log_figure(figure, f"plots/{name}.png")
    return {
        "run_id": run.info.run_id,
        "parent_run_id": parent,
        "name": name,
        "params": params,
        "metrics": {key: values[-1] for key, values in history.items()},
        "history": history,
        "tags": {"stage": "evaluation"},
        "inputs": inputs,
        "artifacts": artifacts(run, f"plots/{name}.png"),
        "model": model_file,
        "worst": worst,
        "status": "FINISHED",
    }


def artifacts(run, *paths: str) -> list:
    """Describe the artifacts of a run: name within the run, full path, SHA-256."""
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return [{"artifact": path, **file_record(folder / path)} for path in paths]


def choose_next(best: dict) -> dict:
    """Choose the position to measure next, and write it down for the microscope."""
    x, y = best["worst"]["position"]
    position = [round(x - 3.0, 2), y]  # between the worst field and those used for training
    chosen = {"position": position, "reason": best["worst"], "run_id": best["run_id"]}
    Path("positions").mkdir(exist_ok=True)
    Path("positions/next.json").write_text(json.dumps(chosen, indent=1) + "\n")
    return {"next_x_nm": position[0], "next_y_nm": position[1]}


def main() -> None:
    args = command_line(__doc__)
    book = {"run_start": now(), "round": args.round, "seed": args.seed, "pid": os.getpid()}
    results = Path(f"results/search_round{args.round}.json")
    ranking = json.loads(results.read_text())["ranking"]
    models = [(Path(found["model_path"]), i + 1, found) for i, found in enumerate(ranking[:3])]
    models.append((Path("models/model_latest.pkl"), 1, ranking[0]))
    paths = [p for r in range(args.round) for p in sorted(Path("images").glob(f"img_{r + 1}*"))]
    images = [p for p in paths if int(p.stem[4:]) % 4 == 0]  # the search used the others

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        mlflow.create_experiment(EXPERIMENT, artifact_location=str(Path("mlartifacts").resolve()))
    book["experiment_id"] = mlflow.set_experiment(EXPERIMENT).experiment_id
    name = f"round {args.round}"
    with mlflow.start_run(run_name=name) as run:
        parent = run.info.run_id
        params = {"round": args.round, "seed": args.seed, "results": str(results.resolve())}
        mlflow.log_params(params)
        done = [evaluate(*model, images, parent) for model in models]
        best = min(done, key=lambda child: child["metrics"]["mse"])
        metrics = {"best_mse": best["metrics"]["mse"], **choose_next(best)}
        mlflow.log_metrics(metrics)
        mlflow.log_artifact("positions/next.json")
    for child in done:
        note("evaluate", "mlflow_run", **book, **child)
    written = artifacts(run, "next.json")
    outcome = {"metrics": metrics, "artifacts": written, "status": "FINISHED"}
    read, written = file_record(results), file_record("positions/next.json")
    outcome |= {"read": [read], "written": [written], "tags": {}, "inputs": []}
    note("evaluate", "mlflow_run", **book, run_id=parent, name=name, params=params, **outcome)
    print(f"evaluate: round {args.round}, best {best['name']}, {metrics}")


if __name__ == "__main__":
    main()
