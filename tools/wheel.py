"""Build a wheel of the Python package that carries the collector's program for one platform."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The program is static, so any C library will do.
TAGS = {
    "linux/amd64": "manylinux2014_x86_64",
    "linux/arm64": "manylinux2014_aarch64",
    "linux/ppc64le": "manylinux2014_ppc64le",
    "darwin/arm64": "macosx_12_0_arm64",
    "windows/amd64": "win_amd64",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="the collector's program")
    parser.add_argument("--platform", choices=sorted(TAGS), required=True, metavar="GOOS/GOARCH")
    parser.add_argument("--out", type=Path, required=True, help="directory for the wheel")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        # A copy: the program must not lie where an editable install would find it.
        source = Path(directory) / "python"
        skip = shutil.ignore_patterns("tests", "__pycache__", "*.egg-info", "build", "_bin")
        shutil.copytree(ROOT / "python", source, ignore=skip)
        shutil.copy(ROOT / "LICENSE", source)
        end = ".exe" if args.platform.startswith("windows") else ""
        carried = source / "mida" / "_bin" / f"otelcol-mida{end}"
        carried.parent.mkdir()
        shutil.copyfile(args.program, carried)
        carried.chmod(0o755)
        (source / "setup.cfg").write_text(f"[bdist_wheel]\nplat_name = {TAGS[args.platform]}\n")
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        made = Path(directory) / "made"
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", made, source], check=True)
        (wheel,) = made.glob("*.whl")
        target = args.out / wheel.name
        shutil.move(wheel, target)
    print(f"{target} {target.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
