"""A plain Dask program: many small tasks on a cluster that exists, and notes of what really happened.

Each call writes a line at its end; the program writes one for each result that it got. Neither knows of any observer.
Calls whose result an earlier session noted are not made again, as a user's restarted job would do it. The last fifth is
not submitted before the file ``go-on`` exists.
"""

import collections
import json
import os
import sys
import time
from pathlib import Path

from dask.distributed import Client

UNDER_WAY = 8  # batches, of the 200 that all calls are made in


def measure(number, session, notes):
    """Return a mapping, and note the call."""
    import json
    import os
    import time

    result = {"half": number / 2}
    line = {"number": number, "session": session, "result": result, "pid": os.getpid(), "at": time.time()}
    # One write to a file that is only appended to: it is whole, whoever is killed next.
    file = os.open(f"{notes}/calls-{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, (json.dumps(line) + "\n").encode())
    finally:
        os.close(file)
    return result


def known_numbers(notes):
    """Return the numbers whose results earlier sessions got."""
    return {
        json.loads(line)["number"]
        for path in notes.glob("results-*.jsonl")
        for line in path.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    }


def batches(numbers, count, notes):
    """Yield parts of the numbers; the last fifth once they may go on."""
    size, last = max(1, count // 200), count * 4 // 5
    for start in range(0, len(numbers), size):
        part = numbers[start : start + size]
        while part[-1] >= last and not (notes / "go-on").exists():
            time.sleep(0.1)
        yield part


def main(address, notes, count):
    done = known_numbers(notes)
    numbers = [i for i in range(count) if i not in done]
    with Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=120)
        session = f"s{time.time_ns()}"
        about = {"session": session, "scheduler": client.scheduler_info()["id"], "pids": client.run(os.getpid)}
        (notes / f"session-{session}.jsonl").write_text(json.dumps(about) + "\n")
        results = os.open(notes / f"results-{session}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def collect(part, futures):
            lines = [
                json.dumps({"number": n, "session": session, "result": r})
                for n, r in zip(part, client.gather(futures), strict=True)
            ]
            os.write(results, ("\n".join(lines) + "\n").encode())

        under_way = collections.deque()
        for part in batches(numbers, count, notes):
            keys = [f"measure-{session}-{n}" for n in part]
            under_way.append((part, client.map(measure, part, session=session, notes=str(notes), key=keys)))
            if len(under_way) >= UNDER_WAY:
                collect(*under_way.popleft())
        while under_way:
            collect(*under_way.popleft())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
