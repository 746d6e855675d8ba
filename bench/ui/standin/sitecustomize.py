"""Lets FlowCept write to mongo-java-server, which knows no update by a pipeline, nor more than one message an answer.

What sets plain values is said in the older form, with a name for each value, so that maps are merged as the pipeline
does; and finds ask for some documents at a time. Nothing else of FlowCept or pymongo is changed.
"""

try:
    import pymongo
    from pymongo.collection import Collection
except ImportError:  # an interpreter without pymongo
    pymongo = None

if pymongo:
    _update_one, _find = pymongo.UpdateOne, Collection.find

    def _named(document: dict, prefix: str = "") -> dict:
        out = {}
        for key, value in document.items():
            keys = list(value) if isinstance(value, dict) else []
            if keys and all(isinstance(k, str) and k and "." not in k and not k.startswith("$") for k in keys):
                out.update(_named(value, f"{prefix}{key}."))
            else:
                out[prefix + key] = value
        return out

    def _plain(filter, update, *args, **kwargs):
        if isinstance(update, list) and len(update) == 1 and set(update[0]) == {"$set"}:
            update = {"$set": _named(update[0]["$set"])}
        return _update_one(filter, update, *args, **kwargs)

    def _in_parts(self, *args, **kwargs):
        return _find(self, *args, **{"batch_size": 2000, **kwargs})

    pymongo.UpdateOne, Collection.find = _plain, _in_parts
