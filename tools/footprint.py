"""Print what the collector costs when nothing happens: size, start-up, memory, CPU.

    python tools/footprint.py bin/otelcol-mida distributions/otelcol-mida/laptop.yaml

Start-up is the time from fork to the first answer of the query port, as the
median of some starts; the rest is read from /proc after an idle time.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start(binary: pathlib.Path, config: pathlib.Path, work: str) -> tuple[subprocess.Popen, float]:
    """Start a collector in `work`; return it and the seconds until it answered."""
    port = free_port()
    env = os.environ | {
        "MIDA_DATA": os.path.join(work, "data"),
        "MIDA_QUERY_ENDPOINT": f"127.0.0.1:{port}",
        "MIDA_METRICS_PORT": str(free_port()),
    }
    began = time.monotonic()
    with open(os.path.join(work, "log"), "ab") as log:
        process = subprocess.Popen(
            [binary, "--config", config], cwd=work, env=env, stdout=log, stderr=log
        )
    while time.monotonic() - began < 60:
        if process.poll() is not None:
            raise SystemExit(pathlib.Path(work, "log").read_text())
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/openapi.json", timeout=1)
        except urllib.error.HTTPError:
            pass  # It answers, if only that it wants a token.
        except OSError:
            time.sleep(0.002)
            continue
        return process, time.monotonic() - began
    process.kill()
    raise SystemExit("no answer within 60 s:\n" + pathlib.Path(work, "log").read_text())


def stop(process: subprocess.Popen) -> None:
    """Ask the collector to end and wait until it has."""
    process.terminate()
    process.wait(timeout=60)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("the collector ended while it was measured")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--idle", type=float, default=20, help="seconds to be idle")
    args = parser.parse_args()
    binary, config = args.binary.resolve(), args.config.resolve()

    with tempfile.TemporaryDirectory() as work:
        times = []
        for n in range(args.starts):
            process, seconds = start(binary, config, work)
            times.append(seconds)
            if n < args.starts - 1:
                stop(process)
        time.sleep(2)  # Start-up work is not idle cost.
        before = cpu_seconds(process.pid)
        time.sleep(args.idle)
        cpu = cpu_seconds(process.pid) - before
        memory = resident_mb(process.pid)
        stop(process)

    print(f"binary          {binary.stat().st_size / 1e6:.0f} MB")
    print(f"start-up        {statistics.median(times):.2f} s (median of {args.starts})")
    print(f"idle memory     {memory:.0f} MB resident after {args.idle:.0f} s")
    print(f"idle CPU        {100 * cpu / args.idle:.1f} % of one core")


if __name__ == "__main__":
    main()
