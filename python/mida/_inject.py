"""Carry the observer into a process that has none of our files.

This file is the loader and is self-contained: it travels as text. What is
sent is a pickle that evaluates ``EXPRESSION`` with these globals, all text:

========== ==========================================================
``boot``    the text of this file
``sources`` JSON object: module name → source text, for each of MODULES
``kind``    ``scheduler``, ``worker`` or ``detach``
``config``  JSON object, see below
========== ==========================================================

Any language can write that pickle by hand (protocol 2)::

    80 02 'c__builtin__\\neval\\n' X<u32 length>EXPRESSION
    }  for each global: X<u32 length>name X<u32 length>value 's'
    86 'R.'

Attach: ``register_scheduler_plugin`` with kind ``scheduler`` and the name
``mida-scheduler``; it brings the worker plugin to all present and future
workers by itself. Detach: ``register_scheduler_plugin`` with kind ``detach``
and the name ``mida-detach``, and the same ``owner`` in its config. A cluster
that is observed already stays with its first observer.

Keys of ``config``, all optional:

================ =====================================================================
``campaign``      campaign id
``owner``         who attached; ``detach`` only takes away what the same owner brought
``journal``       ``{"directory", "segment_bytes", "directory_bytes"}``; the directory
                  may contain ``$VARIABLES``, which each worker expands
``capture``       the capture policy (``mida.capture``)
``limits``        ``{"string", "items", "nodes", "depth", "text"}`` (``mida.values.Limits``)
``workflow_name`` name of all workflows of this cluster
``scheduler_id``  for kind ``worker`` only: the id of the scheduler
================ =====================================================================
"""

import hashlib
import json
import pickle
import sys
import types

EXPRESSION = "(exec(boot), make(kind, config, sources, boot))[1]"
MODULES = (
    "encoding",
    "described",
    "values",
    "redact",
    "capture",
    "environment",
    "mounts",
    "looks",
    "paths",
    "journal",
    "process",
    "gateway",
    "outbox",
    "observer",
    "calls",
    "call_arguments",
    "dask_client",
    "dask_memory",
    "dask_events",
    "dask_graph",
    "dask_process",
    "dask_scheduler_events",
    "dask_witness",
    "dask_measure",
    "dask_worker",
    "dask_scheduler",
    "dask",
)


def load(sources, boot):
    """Make the modules from their texts, once per process and version, beside any installed ``mida``."""
    name = "_mida_" + hashlib.sha256((boot + sources).encode("utf-8")).hexdigest()[:12]
    if name + ".dask" in sys.modules:
        return sys.modules[name + ".dask"]
    texts = json.loads(sources)
    package = types.ModuleType(name)
    package.__path__ = []
    made = [name]
    sys.modules[name] = package
    try:
        for part in MODULES:
            full = name + "." + part
            module = types.ModuleType(full)
            module.__package__ = name
            module.__file__ = "<mida/" + part + ".py>"
            sys.modules[full] = module
            made.append(full)
            exec(compile(texts[part], module.__file__, "exec"), module.__dict__)
            setattr(package, part, module)
    except BaseException:
        for full in made:
            sys.modules.pop(full, None)
        raise
    module.CARRIED = {"sources": sources, "boot": boot}
    return module


def make(kind, config, sources, boot):
    """Return the plugin of a kind; see the top of this file."""
    return load(sources, boot).plugin(kind, json.loads(config or "{}"))


class _Eval:
    """Pickles as the evaluation of ``EXPRESSION``."""

    def __init__(self, names):
        self.names = names

    def __reduce__(self):
        return eval, (EXPRESSION, self.names)


def payload(kind, config, sources, boot):
    """Return the pickle that becomes the plugin where it is read."""
    names = {"boot": boot, "sources": sources, "kind": kind, "config": json.dumps(config)}
    return pickle.dumps(_Eval(names), protocol=2)
