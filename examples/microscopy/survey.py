"""Several sessions at the microscope of `acquire.py`, each with its own settings: fine pixels mean large images."""

import json
import logging
import os
from pathlib import Path

import numpy as np

from acquire import FIELD, acquire
from labbook import command_line, note, now

log = logging.getLogger("microscope")

SESSIONS = (
    {
        "sample": "MoS2-21",
        "images": 4,
        "pixel_size_nm": 0.035,
        "beam_energy_kV": 80,
        "dose_e_per_px": 60,
        "defocus_nm": 9.0,
    },
    {
        "sample": "MoS2-21",
        "images": 3,
        "pixel_size_nm": 0.035,
        "beam_energy_kV": 60,
        "dose_e_per_px": 150,
        "defocus_nm": 6.0,
    },
    {
        "sample": "MoS2-22",
        "images": 2,
        "pixel_size_nm": 0.0175,
        "beam_energy_kV": 80,
        "dose_e_per_px": 90,
        "defocus_nm": 12.0,
    },
    {
        "sample": "WSe2-04",
        "images": 2,
        "pixel_size_nm": 0.00875,
        "beam_energy_kV": 200,
        "dose_e_per_px": 40,
        "defocus_nm": 15.0,
    },
)


def hold(number: int, session: dict, seed: int) -> None:
    """Hold one session: image 301 is the first one of session 3."""
    optics = {"lattice_constant_nm": 0.316, **{k: v for k, v in session.items() if k not in ("sample", "images")}}
    rng = np.random.default_rng([seed, number])
    run = {"run_start": now(), "round": number, "seed": seed, "pid": os.getpid()}
    log.info("run begin: round %d, seed %d, sample %s", number, seed, session["sample"])
    log.info("parameter space: %s", json.dumps(optics))
    note("acquire", "run", **run, log=str(Path("logs/acquire.log").resolve()), read=None)
    for i in range(session["images"]):
        record = acquire(100 * number + 1 + i, [FIELD * i, FIELD * number], rng, optics)
        note("acquire", "image", **run, sample=session["sample"], **record)
    log.info("run end: %d of %d images saved", session["images"], session["images"])
    note("acquire", "run_end", **run, saved=session["images"], planned=session["images"])


def main() -> None:
    args = command_line(__doc__)
    for folder in ("logs", "images"):
        Path(folder).mkdir(exist_ok=True)
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(filename="logs/acquire.log", level=logging.DEBUG, format=form)
    for number, session in enumerate(SESSIONS, start=1):
        hold(number, session, args.seed)
    print(f"survey: {len(SESSIONS)} sessions, {sum(s['images'] for s in SESSIONS)} images")


if __name__ == "__main__":
    main()
