"""Draw which hyperparameters go with metrics and with resources: draw_correlations.py OUT_DIR [STATE_DIRECTORY]."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import mida

TRAININGS = {"activity_id": "train", "status": "FINISHED"}
PARAMETERS = [f"used.{name}" for name in ("layers", "units", "optimizer", "learning_rate", "max_epochs")]
PARAMETERS += ["used.standardize", "used.swa", "used.dataset.patches"]
MAPS = {
    "correlation_metrics.png": ("generated.accuracy,generated.loss,generated.val_loss", "Hyperparameters × metrics"),
    "correlation_telemetry.png": (
        "telemetry_peak.process.memory.usage,telemetry_delta.process.cpu.time,"
        "telemetry_delta.process.io.read,telemetry_delta.process.disk.io.write,elapsed",
        "Hyperparameters × telemetry and elapsed time",
    ),
}


def main() -> None:
    directory = Path(sys.argv[1])
    client = mida.Client(state_directory=sys.argv[2] if len(sys.argv) > 2 else None)
    for name, (y, title) in MAPS.items():
        found = mida.correlation(PARAMETERS, y, filter=TRAININGS, client=client)
        found.plot(title=title).figure.savefig(directory / name, dpi=100)
        print(
            f"{directory / name}: {found.answer['read']} trainings, {(found.q < 0.05).sum().sum()} pairs with q < 0.05"
        )


if __name__ == "__main__":
    main()
