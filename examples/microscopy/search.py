"""Search for the network that finds lattice defects best, on two local Dask workers."""

import itertools
import json
import os
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
from dask.distributed import Client, LocalCluster, as_completed
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from labbook import DaskCalls, command_line, note, note_dask_files, now

RATES = {"adam": (0.001, 0.004), "sgd": (0.02, 0.1)}


def make_dataset(image_paths: list, patch_size: int, dataset_path: str) -> dict:
    """Cut images into patches; a patch is positive if a defect lies near its centre."""
    patches, labels, margin = [], [], patch_size // 4
    for path in image_paths:
        with np.load(path) as file:
            image, defects = file["image"], file["defects"]
        for row in range(0, image.shape[0] - patch_size + 1, 8):
            for column in range(0, image.shape[1] - patch_size + 1, 8):
                window = np.s_[row : row + patch_size, column : column + patch_size]
                patches.append(image[window].ravel())
                labels.append(defects[window][margin:-margin, margin:-margin].any())
    Path(dataset_path).parent.mkdir(parents=True, exist_ok=True)
    np.savez(dataset_path, patches=np.array(patches), labels=np.array(labels))
    note_dask_files("search", read=image_paths, written=[dataset_path])
    summary = {"patches": len(patches), "positive_fraction": float(np.mean(labels))}
    return {"dataset_path": dataset_path, **summary}


def train(
    dataset: dict,
    layers: int,
    units: int,
    optimizer: str,
    learning_rate: float,
    max_epochs: int,
    standardize: bool,
    swa: bool,
    seed: int,
    model_path: str,
) -> dict:
    """Train one network; with ``swa`` its weights are the average over the last third."""
    note_dask_files("search", read=[dataset["dataset_path"]])
    with np.load(dataset["dataset_path"]) as file:
        patches, labels = file["patches"], file["labels"].astype(int)
    order = np.random.default_rng(seed).permutation(len(labels))
    held, fit = order[: len(order) // 5], order[len(order) // 5 :]
    scaler = StandardScaler() if standardize else FunctionTransformer()
    x, y = scaler.fit_transform(patches[fit]), labels[fit]
    network = MLPClassifier((units,) * layers, solver=optimizer, learning_rate_init=learning_rate, random_state=seed)
    late = []
    for epoch in range(max_epochs):
        network.partial_fit(x, y, classes=[0, 1])
        if swa and epoch >= max_epochs * 2 // 3:
            late.append([w.copy() for w in network.coefs_ + network.intercepts_])
    if swa:
        mean = [np.mean(weights, axis=0) for weights in zip(*late)]
        network.coefs_, network.intercepts_ = mean[: layers + 1], mean[layers + 1 :]
    model = make_pipeline(scaler, network)
    loss = float(log_loss(y, model.predict_proba(patches[fit])))
    val_loss = float(log_loss(labels[held], model.predict_proba(patches[held])))
    accuracy = float(model.score(patches[held], labels[held]))
    Path(model_path).parent.mkdir(parents=True, exist_ok=True)
    Path(model_path).write_bytes(pickle.dumps(model))
    note_dask_files("search", written=[model_path])
    return {"model_path": model_path, "accuracy": accuracy, "loss": loss, "val_loss": val_loss}


def publish(best: dict, model_path: str) -> dict:
    """Make the best model the one that everybody uses."""
    shutil.copyfile(best["model_path"], model_path)
    note_dask_files("search", read=[best["model_path"]], written=[model_path])
    return {"model_path": model_path, "val_loss": best["val_loss"]}


def trials(round_: int, seed: int) -> list:
    """Parameters to try: a wide grid first, later a narrow one around the best so far."""
    if round_ > 1:
        found = json.loads(Path(f"results/search_round{round_ - 1}.json").read_text())
        best = found["best"]["parameters"]
        rates = [best["learning_rate"] / 2, best["learning_rate"]]
        grid = itertools.product((1, 2, 3), rates, (True, False))
        return [{**best, "layers": n, "learning_rate": rate, "swa": swa} for n, rate, swa in grid]
    pick = random.Random(seed).choice
    wide = []
    grid = itertools.product((1, 2, 3), RATES, (True, False), (True, False))
    for layers, optimizer, standardize, swa in grid:
        trial = {"layers": layers, "units": pick((16, 32)), "optimizer": optimizer}
        trial |= {"learning_rate": pick(RATES[optimizer]), "max_epochs": pick((16, 24, 32))}
        wide.append({**trial, "standardize": standardize, "swa": swa})
    return [*wide, {**wide[-1], "learning_rate": 1e6}]  # far too bold, to see the limit


def search(calls: DaskCalls, images: list, round_: int, seed: int) -> list:
    """Train all trials and publish the best; return what was found, best first."""
    name, parameters, found = f"round{round_}", {}, []
    datasets = [
        calls.submit(make_dataset, image_paths=part, patch_size=16, dataset_path=path)
        for part, path in ((images, f"data/{name}_all.npz"), (images[::2], f"data/{name}_half.npz"))
    ]
    for i, trial in enumerate(trials(round_, seed)):
        arguments = {**trial, "seed": seed, "model_path": f"models/{name}/model_{i + 1:02d}.pkl"}
        future = calls.submit(train, retries=1, dataset=datasets[i % 3 == 2], **arguments)
        parameters[future] = trial
    for done in as_completed(list(parameters)):
        if done.status == "error":
            print(f"search: {parameters[done]} failed: {done.exception()}")
        else:
            found.append((done.result()["val_loss"], done.key, done))
    found.sort()
    calls.submit(publish, best=found[0][-1], model_path="models/model_latest.pkl").result()
    return [{**done.result(), "parameters": parameters[done]} for _, _, done in found]


def main() -> None:
    args = command_line(__doc__)
    run = {"run_start": now(), "round": args.round, "seed": args.seed}
    paths = [p for r in range(args.round) for p in sorted(Path("images").glob(f"img_{r + 1}*"))]
    images = [str(p) for p in paths if int(p.stem[4:]) % 4]  # the rest is for the evaluation
    workers = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with workers as cluster, Client(cluster) as client:
        known = {"pid": os.getpid(), "client": client.id, "scheduler": cluster.scheduler.id}
        note("search", "run", **run, **known, scheduler_address=cluster.scheduler_address)
        calls = DaskCalls(client)
        ranking = search(calls, images, args.round, args.seed)
        calls.note("search", **run)
    Path("results").mkdir(exist_ok=True)
    summary = {"round": args.round, "images": images, "best": ranking[0], "ranking": ranking}
    Path(f"results/search_round{args.round}.json").write_text(json.dumps(summary, indent=1) + "\n")
    note("search", "run_end", **run, calls=len(calls.calls))
    print(f"search: round {args.round}, best {ranking[0]}")


if __name__ == "__main__":
    main()
