"""Train networks of many sizes on the images of all sessions; some need more memory than there is."""

import json
import os
import resource
from pathlib import Path

import dask
import numpy as np
from dask.distributed import Client, LocalCluster, wait

from labbook import DaskCalls, command_line, kernel_kills, note, note_dask_files, now
from network import Network

ADDRESS_SPACE = 3 << 30  # bytes of a worker, as `ulimit -v` gives them
WORKER_MEMORY = "640 MiB"


def clean(image_paths: list, border: int, clean_path: str) -> dict:
    """Take the background off the images of one session, and scale them."""
    images, defects = [], []
    for path in image_paths:
        with np.load(path) as file:
            image, seen = file["image"], file["defects"]
        inside = np.s_[border : image.shape[0] - border, border : image.shape[1] - border]
        images.append((image[inside] - np.median(image)) / image.std())
        defects.append(seen[inside])
    Path(clean_path).parent.mkdir(parents=True, exist_ok=True)
    np.savez(clean_path, images=np.array(images, np.float32), defects=np.array(defects))
    note_dask_files("search", read=image_paths, written=[clean_path])
    return {"clean_path": clean_path, "images": len(images), "pixels": int(np.size(images))}


def cut(cleaned: dict, patch_size: int, stride: int, dataset_path: str) -> dict:
    """Cut images into patches; a patch is positive if a defect lies near its centre."""
    with np.load(cleaned["clean_path"]) as file:
        images, defects = file["images"], file["defects"]
    patches, labels, margin = [], [], patch_size // 4
    for image, seen in zip(images, defects):
        for row in range(0, image.shape[0] - patch_size + 1, stride):
            for column in range(0, image.shape[1] - patch_size + 1, stride):
                window = np.s_[row : row + patch_size, column : column + patch_size]
                patches.append(image[window].ravel())
                labels.append(seen[window][margin:-margin, margin:-margin].any())
    return save(cleaned["clean_path"], dataset_path, np.array(patches), np.array(labels))


def augment(dataset: dict, copies: int, dataset_path: str) -> dict:
    """Turn and mirror the patches."""
    with np.load(dataset["dataset_path"]) as file:
        patches, labels = file["patches"], file["labels"]
    side = int(patches.shape[1] ** 0.5)
    square = patches.reshape(-1, side, side)
    turned = [np.rot90(square[:, :, :: 1 - 2 * (i // 4)], i % 4, axes=(1, 2)) for i in range(copies)]
    return save(
        dataset["dataset_path"], dataset_path, np.concatenate(turned).reshape(-1, side**2), np.tile(labels, copies)
    )


def save(source: str, path: str, patches: np.ndarray, labels: np.ndarray) -> dict:
    """Write a data set and say what is in it."""
    np.savez(path, patches=patches, labels=labels)
    note_dask_files("search", read=[source], written=[path])
    return {"dataset_path": path, "patches": len(patches), "positive_fraction": round(float(np.mean(labels)), 4)}


def train(
    dataset: dict,
    optimizer: str,
    layers: int,
    units: int,
    epochs: int,
    learning_rate: float,
    seed: int,
    model_path: str,
) -> dict:
    """Train one network; ``learning_rate`` is the damping of Gauss-Newton."""
    note_dask_files("search", read=[dataset["dataset_path"]])
    with np.load(dataset["dataset_path"]) as file:
        patches, labels = file["patches"], file["labels"].astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(labels))
    held, fit = order[: len(order) // 5], order[len(order) // 5 :]
    network = Network(patches.shape[1], layers, units, seed)
    if optimizer == "adam":
        network.adam(patches[fit], labels[fit], epochs, learning_rate, 256, seed)
    else:  # which steps too far as long as the start is bad
        network.adam(patches[fit], labels[fit], 4, 0.002, 64, seed)
        network.gauss_newton(patches[fit], labels[fit], epochs, learning_rate)
    losses = [log_loss(labels[part], network.probability(patches[part])) for part in (fit, held)]
    accuracy = float(np.mean((network.probability(patches[held]) > 0.5) == (labels[held] > 0.5)))
    Path(model_path).parent.mkdir(parents=True, exist_ok=True)
    np.savez(model_path, **{f"dense_{i}": weights for i, weights in enumerate(network.weights)})
    note_dask_files("search", written=[model_path])
    return {"model_path": model_path, "loss": losses[0], "val_loss": losses[1], "accuracy": accuracy}


def log_loss(labels: np.ndarray, probability: np.ndarray) -> float:
    """Return the mean cross entropy."""
    probability = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-np.mean(labels * np.log(probability) + (1 - labels) * np.log(1 - probability)))


def datasets(calls: DaskCalls, round_: int) -> dict:
    """Make the data sets: one a session, and turned copies of two of them."""
    cleaned, plain, turned = {}, {}, {}
    for session in ("1", "2", "3", "4"):
        paths = sorted(str(path) for path in Path("images").glob(f"img_{session}*.npz"))
        name = f"data/round{round_}_session{session}"
        cleaned[session] = calls.submit(clean, image_paths=paths, border=4, clean_path=f"{name}_clean.npz")
        arguments = {"patch_size": 16, "stride": 8, "dataset_path": f"{name}.npz"}
        plain[session] = calls.submit(cut, cleaned=cleaned[session], **arguments)
        if session in ("3", "4"):
            arguments = {"copies": 8, "dataset_path": f"{name}_x8.npz"}
            turned[session + "x8"] = calls.submit(augment, dataset=plain[session], **arguments)
    wait([*plain.values(), *turned.values()])
    for future in cleaned.values():
        calls.take(future)
    return {name: calls.take(future) for name, future in {**plain, **turned}.items()}


def trials(round_: int) -> list:
    """Parameters to try: data set, optimiser, layers, units."""
    if round_ > 1:
        return [("1", "gauss_newton", 1, 8), ("4", "gauss_newton", 1, 48), ("2", "adam", 2, 16)]
    sure = [(data, "adam", layers, 16) for data in ("1", "2", "3", "4") for layers in (1, 2)]
    sure += [("3x8", "adam", 1, 32), ("4x8", "adam", 1, 16)]
    sure += [
        ("1", "gauss_newton", 1, 4),
        ("1", "gauss_newton", 2, 8),
        ("2", "gauss_newton", 1, 8),
        ("3", "gauss_newton", 1, 4),
    ]
    bold = [("4", "gauss_newton", 1, 48), ("3x8", "gauss_newton", 1, 24)]  # more than a worker may have
    bold += [
        ("4x8", "gauss_newton", 1, 32),
        ("4x8", "gauss_newton", 1, 48),
        ("3x8", "gauss_newton", 1, 160),
    ]  # more than can be
    return [t for pair in zip(sure, bold + [None] * len(sure)) for t in pair if t]


def search(client: Client, calls: DaskCalls, round_: int, seed: int) -> list:
    """Train all trials, one a worker at a time; return what was found, best first."""
    data, parameters, found = datasets(calls, round_), {}, []

    def collect() -> None:
        # At once: a result is lost with its worker, and made again, as long as somebody keeps its future.
        for done in wait(list(parameters), return_when="FIRST_COMPLETED").done:
            trial, result = parameters.pop(done), calls.take(done)
            found.extend([{**result, "parameters": trial}] if result else [])

    for i, (name, optimizer, layers, units) in enumerate(trials(round_), start=1):
        newton = optimizer == "gauss_newton"
        trial = {"optimizer": optimizer, "layers": layers, "units": units, "epochs": 6 if newton else 12}
        trial |= {"learning_rate": 0.001 if newton else 0.002, "seed": seed}
        if len(parameters) == 2:
            collect()
        client.wait_for_workers(2)  # one that a training took with it is started again
        path = f"models/round{round_}/model_{i:02d}.npz"
        parameters[calls.submit(train, dataset=data[name], model_path=path, **trial)] = {"dataset": name, **trial}
    while parameters:
        collect()
    return sorted(found, key=lambda one: one["loss"])


def main() -> None:
    args = command_line(__doc__)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))  # workers inherit it
    # A training that took its worker with it would take the next one, too.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    run = {"run_start": now(), "round": args.round, "seed": args.seed}
    killed = kernel_kills()
    workers = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=WORKER_MEMORY, dashboard_address=None)
    with workers as cluster, Client(cluster) as client:
        known = {"pid": os.getpid(), "client": client.id, "scheduler": cluster.scheduler.id}
        note("search", "run", **run, **known, scheduler_address=cluster.scheduler_address)
        calls = DaskCalls(client)
        ranking = search(client, calls, args.round, args.seed)
        calls.note("search", **run)
        for _, event in client.get_events("worker-restart-memory"):
            note("search", "worker_restart", **run, **event)
    Path("results").mkdir(exist_ok=True)
    Path(f"results/search_round{args.round}.json").write_text(json.dumps(ranking, indent=1) + "\n")
    note("search", "run_end", **run, calls=len(calls.calls), kernel_kills=kernel_kills() - killed)
    print(f"wide_search: round {args.round}, {len(ranking)} of {len(trials(args.round))} trained, best {ranking[0]}")


if __name__ == "__main__":
    main()
