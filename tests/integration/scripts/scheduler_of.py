"""A Dask scheduler of another user: loads everything as root, then becomes that user before it opens a socket."""

import asyncio
import json
import os
import sys
import tempfile


def main(uid):
    import distributed

    os.chdir("/")
    tempfile.tempdir = "/tmp"
    os.environ["HOME"] = "/tmp"

    async def serve():
        scheduler = distributed.Scheduler(host="127.0.0.1", port=0, dashboard_address=None)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        await scheduler
        print(json.dumps({"address": scheduler.address}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print(json.dumps({"plugins": sorted(scheduler.plugins)}), flush=True)
        await scheduler.close()

    asyncio.run(serve())


if __name__ == "__main__":
    main(int(sys.argv[1]))
