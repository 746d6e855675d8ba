"""Simulated scanning electron microscope: images of an atomic lattice with point defects.

Round 1 scans a raster of fields. Round 2 and later read ``positions/next.json``, measure the
nearest field of the raster again (its image is overwritten) and then new fields around it.
"""

import json
import logging
import os
import time
from pathlib import Path

import numpy as np

from labbook import command_line, file_record, note, now

log = logging.getLogger("microscope")

WIDTH = 4.48  # of an image, nm
FIELD = 5.0  # distance of neighbouring fields of the raster, nm
COLUMNS, ROWS = 4, 3


def raster() -> dict:
    """Image number -> position of the fields of round 1, row by row."""
    cells = [(column, row) for row in range(ROWS) for column in range(COLUMNS)]
    return {101 + i: [FIELD * column, FIELD * row] for i, (column, row) in enumerate(cells)}


def expose(rng: np.random.Generator, optics: dict, drift: float) -> tuple:
    """Simulate one image; return it with its map of defects (1 vacancy, 2 dopant)."""
    pixel, spacing = optics["pixel_size_nm"], optics["lattice_constant_nm"]
    size = round(WIDTH / pixel)  # pixels per side
    width = size * pixel
    rows = np.arange(-1, int(width / (spacing * 0.866)) + 2)
    columns = np.arange(-1, int(width / spacing) + 2)
    y, x = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    x, y = (x + 0.5 * (y % 2)) * spacing, y * spacing * 0.866
    kind = rng.choice([0, 1, 2], size=x.size, p=[0.88, 0.07, 0.05])
    brightness = np.array([1.0, 0.0, 1.6])[kind]
    x = (x + drift * y / width) / pixel + rng.normal(0, 0.25, x.size)
    y = y / pixel + rng.normal(0, 0.25, y.size)

    blur = np.hypot(2.0, 0.12 * optics["defocus_nm"])
    axis = np.arange(size)
    along_x = np.exp(-((axis - x[:, None]) ** 2) / (2 * blur**2))
    along_y = np.exp(-((axis - y[:, None]) ** 2) / (2 * blur**2))
    ideal = 0.1 + (along_y * brightness[:, None]).T @ along_x
    image = rng.poisson(ideal * optics["dose_e_per_px"]) / optics["dose_e_per_px"]

    defects = np.zeros((size, size), np.uint8)
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    seen = (kind > 0) & (column >= 0) & (column < size) & (row >= 0) & (row < size)
    defects[row[seen], column[seen]] = kind[seen]
    return image.astype(np.float32), defects


def read_cold_trap() -> float:
    """Read the temperature of the cold trap, as unreliable as the real one."""
    raise OSError("cold trap: no answer within 20 ms\n  the controller may be busy")


def acquire(number: int, position: list, rng: np.random.Generator, optics: dict) -> dict:
    """Take one image at one position; return what the operator would write down about it."""
    camera = logging.getLogger("microscope.camera")
    path = Path("images", f"img_{number}.npz")
    camera.info("image %d: exposure started at x=%.2f y=%.2f nm", number, *position)
    record = {"number": number, "position": position, "parameters": dict(optics), "started": now()}
    drift = round(float(rng.gamma(2.0, 0.08)), 3)
    image, defects = expose(rng, optics, drift)
    time.sleep(0.03)
    if number % 100 == 6:
        try:
            read_cold_trap()
        except OSError:
            log.warning("cold trap temperature unknown, going on", exc_info=True)
    if number == 110:
        camera.error("image %d: aborted, beam blanker did not open", number)
        return {**record, "status": "aborted", "ended": now()}
    np.savez_compressed(path, image=image, defects=defects, position=position)
    values = {
        "defects": int(np.count_nonzero(defects)),
        "mean_intensity": round(float(image.mean()), 4),
        "drift_nm": drift,
    }
    camera.info("image %d: saved %s defects=%d mean=%.4f drift=%.3f nm", number, path, *values.values())
    return {**record, "status": "saved", "ended": now(), "values": values, **file_record(path)}


def plan(round_: int) -> tuple:
    """Image number -> position for this round, and where that plan came from."""
    if round_ == 1:
        return raster(), None
    chosen = json.loads(Path("positions/next.json").read_text())
    log.info(
        "next position x=%.2f y=%.2f nm read from positions/next.json, chosen by evaluation %s",
        *chosen["position"],
        chosen["run_id"],
    )
    centre = np.array(chosen["position"])
    old = raster()
    nearest = min(old, key=lambda number: np.hypot(*(old[number] - centre)))
    fields = {nearest: old[nearest]}
    for i, angle in enumerate(np.linspace(0, 2 * np.pi, 5, endpoint=False), start=1):
        offset = 0.4 * FIELD * np.array([np.cos(angle), np.sin(angle)])
        fields[100 * round_ + i] = [round(float(v), 2) for v in centre + offset]
    return fields, {"run_id": chosen["run_id"], **file_record("positions/next.json")}


def main() -> None:
    args = command_line(__doc__)
    for folder in ("logs", "images"):
        Path(folder).mkdir(exist_ok=True)
    logging.basicConfig(
        filename="logs/acquire.log",
        level=logging.DEBUG,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    run_start = now()
    rng = np.random.default_rng([args.seed, args.round])
    optics = {"lattice_constant_nm": 0.316, "pixel_size_nm": 0.035, "beam_energy_kV": 80}
    optics |= {"dose_e_per_px": 40 * args.round, "defocus_nm": 12.0}

    log.info("run begin: round %d, seed %d, sample MoS2-17", args.round, args.seed)
    log.info("parameter space: %s", json.dumps(optics))
    fields, chosen_by = plan(args.round)
    run = {"run_start": run_start, "round": args.round, "seed": args.seed, "pid": os.getpid()}
    note("acquire", "run", **run, log=str(Path("logs/acquire.log").resolve()), read=chosen_by)
    saved = 0
    for i, (number, position) in enumerate(fields.items()):
        if i == 8:
            optics["defocus_nm"] = 8.5
            log.info("refocused: defocus_nm=%.1f", optics["defocus_nm"])
        if i % 5 == 4:
            log.debug("stage settled after %.1f ms", rng.uniform(1, 9))
        record = acquire(number, position, rng, optics)
        saved += record["status"] == "saved"
        note("acquire", "image", **run, **record)
    log.info("run end: %d of %d images saved", saved, len(fields))
    note("acquire", "run_end", **run, saved=saved, planned=len(fields))
    print(f"acquire: round {args.round}, {saved} of {len(fields)} images")


if __name__ == "__main__":
    main()
