"""Functions that the Dask tests run; importable by workers."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import os
import threading
import time

from distributed import Reschedule, get_worker, rejoin, secede, worker_client


def inc(x, k=1):
    return x + k


def add(a, b):
    return a + b


def total(values, *rest, scale=1, **more):
    return scale * (sum(values) + sum(rest) + sum(more.values()))


def boom(x):
    raise ValueError(f"bad {x}")


def flaky(path):
    """Fail the first time, succeed the second."""
    if not os.path.exists(path):
        with open(path, "w"):
            pass
        raise OSError("not yet")
    return "done"


def leak(password):
    raise RuntimeError("cannot reach postgres://ada:hunter2@db.example.org/x with AKIAABCDEFGHIJKLMNOP")


def sleep(seconds, label=None):
    time.sleep(seconds)
    return label


def until(path, value):
    """Run until a file exists."""
    while not os.path.exists(path):
        time.sleep(0.01)
    return value


def die(path):
    with open(path, "a") as file:
        file.write("x")
        file.flush()
        os.fsync(file.fileno())
    os._exit(1)


def die_once(path):
    if os.path.exists(path):
        return "survived"
    return die(path)


def nested(n):
    with worker_client() as client:
        return sum(client.gather(client.map(inc, range(n), pure=False)))


def seceding(x):
    secede()
    time.sleep(0.02)
    return x


async def coroutine_burn(cpu, nap_seconds=0.0):
    import asyncio

    await asyncio.sleep(nap_seconds)
    return burn(cpu)


async def coroutine(x):
    await asyncio.sleep(0.01)
    return x


def again(path):
    if not os.path.exists(path):
        with open(path, "w"):
            pass
        raise Reschedule
    return get_worker().address and 1


class Counter:
    def __init__(self, n=0):
        self.n = n

    def increment(self):
        self.n += 1
        return self.n


class Model:
    def __init__(self, layers):
        self.layers = layers

    def score(self, x):
        return self.layers * x


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Config:
    layers: int
    name: str
    rates: list


class Colour(enum.Enum):
    RED = 1


def train(cfg):
    return {"loss": 1.0 / cfg.layers, "accuracy": 0.5, "model_path": f"/tmp/mida-none/{cfg.name}.pkl"}


def point(x):
    return Point(x, x + 1)


def nothing():
    return None


def numbers(n):
    return list(range(n))


def same(value):
    return value


class Hostile:
    """Everything that one may call on it raises or never returns."""

    def __init__(self, how="raise"):
        object.__setattr__(self, "how", how)

    def _act(self, *args):
        if object.__getattribute__(self, "how") == "block":
            threading.Event().wait()
        raise RuntimeError("hostile")

    def __getattribute__(self, name):
        if name in ("__reduce_ex__", "__reduce__", "__class__", "__sizeof__", "how", "_act"):
            return object.__getattribute__(self, name)
        return Hostile._act(self)

    def __reduce__(self):
        return Hostile, (object.__getattribute__(self, "how"),)

    def __sizeof__(self):
        return 64

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __eq__ = __getitem__ = _act
    __hash__ = object.__hash__


def make_hostile(how):
    return Hostile(how)


def take_hostile(thing, n):
    return n


def cyclic():
    a = [1]
    a.append(a)
    return a


def big_text(n):
    return "x" * n


def odd_values():
    return {
        "nan": float("nan"),
        "inf": float("inf"),
        "huge": 2**70,
        "bytes": b"\x00\xff",
        1: "one",
        (1, 2): "pair",
        "surrogate": "a\ud800b",
        "deep": [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]],
        "colour": Colour.RED,
        "marker": {"$int": "5"},
        "set": {3},
    }


def maker():
    """Return a function, which a task may then call."""
    return second


def second(first, n):
    return n


def burn(cpu):
    """Use so many seconds of CPU time of this thread."""
    end = time.thread_time() + cpu
    while time.thread_time() < end:
        pass
    return cpu


def nap(seconds):
    time.sleep(seconds)
    return seconds


def fill(mebibytes):
    """Have that much memory for a moment."""
    data = bytearray(mebibytes << 20)
    for at in range(0, len(data), 4096):
        data[at] = 1
    return len(data)


def meet(directory, number, count):
    """Wait until all are here."""
    with open(os.path.join(directory, str(number)), "w"):
        pass
    while len(os.listdir(directory)) < count:
        time.sleep(0.01)
    time.sleep(0.05)
    return number


def identity():
    from mida.process import process_identity

    return process_identity()


def own_key():
    return get_worker().get_current_task()


def own_key_later(path):
    while not os.path.exists(path):
        time.sleep(0.02)
    return get_worker().get_current_task()


def leave_and_return():
    secede()
    rejoin()
    return get_worker().get_current_task()


def hold(mebibytes, go):
    """Have more and more memory, up to so much, until a file appears."""
    kept = []
    for _ in range(mebibytes // 10):
        kept.append(b"\1" * (10 << 20))
        time.sleep(0.05)
    while not os.path.exists(go):
        time.sleep(0.02)
    return len(kept)


def no_array():
    """Want an array that fits nowhere."""
    import numpy

    return numpy.empty((1 << 30, 1 << 20))
