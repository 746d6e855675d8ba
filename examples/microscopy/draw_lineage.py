"""Draw where the best evaluated model came from, as the view knows it: draw_lineage.py OUT.png [STATE_DIRECTORY]."""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mida

COLOURS = {"log": "#d9ead3", "dask": "#cfe2f3", "mlflow": "#fce5cd"}


def layers(start: str, links: list) -> dict:
    """Task id -> distance from the start, the longest one, so that data always flows to the right."""
    level = {start: 0}
    for _ in range(20):  # as deep as any campaign of this example; a cycle would end here
        for link in links:
            if link["to"] in level:
                level[link["from"]] = max(level.get(link["from"], 0), level[link["to"]] + 1)
    return level


def main() -> None:
    client = mida.Client(state_directory=sys.argv[2] if len(sys.argv) > 2 else None)
    best = client.query(
        ["id", "generated.mse"],
        filter={"kind": "mlflow", "generated.mse": {"$exists": True}},
        sort=[("generated.mse", mida.ASCENDING)],
        limit=1,
    )[0]
    graph = client.lineage(best["id"])
    tasks = {t["id"]: t for t in graph["tasks"]}
    level = layers(best["id"], graph["links"])
    columns: dict = {}
    for task_id in sorted(tasks, key=lambda i: tasks[i].get("ended_at") or 0):
        columns.setdefault(level[task_id], []).append(task_id)
    place = {}
    for depth, members in columns.items():
        for row, task_id in enumerate(members):
            place[task_id] = (-depth * 3.0, (len(members) - 1) / 2 - row)

    figure, axes = plt.subplots(figsize=(2.3 * len(columns) + 1, 0.72 * max(map(len, columns.values())) + 1))
    boxes = {}
    for task_id, (x, y) in place.items():
        t = tasks[task_id]
        name = str(t["task_id"]).rsplit("/", 1)[-1].removeprefix(t["activity_id"] + "-")
        style = {"boxstyle": "round,pad=0.35", "fc": COLOURS[t["kind"]], "ec": "#555555", "lw": 0.8}
        text = f"{t['activity_id']}\n{name[:8]}"
        boxes[task_id] = axes.text(x, y, text, ha="center", va="center", fontsize=8, bbox=style, zorder=3)
    figure.canvas.draw()
    for link in graph["links"]:
        patches = {"patchA": boxes[link["from"]].get_bbox_patch(), "patchB": boxes[link["to"]].get_bbox_patch()}
        style = {"arrowstyle": "-|>", "color": "#777777", "lw": 0.9, "shrinkA": 0, "shrinkB": 1, **patches}
        (x0, y0), (x1, y1) = place[link["from"]], place[link["to"]]
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=style)
        if link["evidence"] != "declared" and tasks[link["from"]]["kind"] == "dask":
            text = f"{link['entity'].rsplit('/', 1)[-1]}\n{link['evidence']} {link['confidence']:.2f}"
            axes.text((x0 + x1) / 2, (y0 + y1) / 2, text, fontsize=7, ha="center", va="center", color="#333333",
                      bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5}, zorder=4)  # fmt: skip
    for i, (kind, what) in enumerate(
        (("log", "log of the microscope"), ("dask", "Dask search"), ("mlflow", "MLflow evaluation"))
    ):
        axes.text(0.01 + 0.17 * i, 1.0, f" {what} ", transform=axes.transAxes, fontsize=8, va="bottom",
                  bbox={"fc": COLOURS[kind], "ec": "#555555", "lw": 0.6, "boxstyle": "round,pad=0.25"})  # fmt: skip
    xs, ys = zip(*place.values())
    axes.set_xlim(min(xs) - 1.3, max(xs) + 1.3)
    axes.set_ylim(min(ys) - 0.7, max(ys) + 0.7)
    axes.axis("off")
    figure.savefig(sys.argv[1], dpi=110, bbox_inches="tight")
    print(f"{sys.argv[1]}: {len(tasks)} tasks, {len(graph['links'])} links, mse {best['generated.mse']:.4f}")


if __name__ == "__main__":
    main()
