// Package entity gives every file, URI, model, run, dataset and digest that a
// task names one identity, so that a task which used a thing can be linked to
// the task which generated it.
//
// The package has two halves that never meet in one function:
//
//   - [Resolver] does I/O. It runs on the node and in the mount namespace
//     where the task ran and turns a path as the task wrote it into a
//     [PathInfo].
//   - [Canonical] is pure. It turns a value, and the PathInfo where an
//     observer recorded one, into an [Entity]. It runs anywhere, any number
//     of times, with the same answer.
//
// # Contract of Canonical
//
// Canonical(field, value, info, where) answers an entity, or false when the
// value must not link. It never panics, does no I/O and is idempotent: an ID that
// it gave, given as a value, is that ID again. A nil info means that
// nobody resolved the path: it is then cleaned lexically and gets a lower
// confidence. An info that is not nil is the observer's word that the value is
// a path, whatever it looks like.
//
// Forms of an entity ID (host and site are percent-escaped, so that no two
// different things share an ID; the "site/" part is absent without a site):
//
//	file:site/host:/abs/path              local file
//	file:nfs:nas.example.org:/export/x    network file system, server with a full name
//	file:site/nfs:nas:/export/x           …with a name that is unique only inside its site
//	file:site/lustre:scratch:/x           parallel file systems are known by name inside a site
//	file:container:<runtime id>:/x        the container's own layer
//	file:site/host/dev:8:1:/x             a device whose place on the host is not known (yet)
//	uri:https://host/path?query           also s3, gs, hdfs, abfs, dbfs, doi, …
//	mlflow:run:<id>, mlflow:run:<id>/artifact/path
//	mlflow:model:<name>/<version>, mlflow:model:<name>@<alias>, mlflow:model:m-<id>
//	digest:<algorithm>:<hex>, digest:mlflow:<dataset name>:<digest>
//	value:<rule>:<canonical value>        only through [ByValue], that is by explicit rule
//	task:<id>                             only through [Task], for declared edges
//
// Numbers, booleans, dates, MIME types, units, versions, sentences, database
// connection strings, and addresses of services (a URI without a path) never
// give an entity. testdata/paths.txt is the table of which strings are paths;
// every implementation of [LooksLikePath] runs it.
//
// # Resolving a path (the algorithm, for every language)
//
// Read once per process, and again at most once a second when step 3 asks:
// SELF = /proc/self/mountinfo, HOME = /proc/1/mountinfo (SELF when it cannot
// be read), the namespace links /proc/self/ns/{pid,mnt}, /proc/self/cgroup.
// Without SELF (not Linux) steps 3 to 6 give fs "" and rel = real.
//
//  1. p = the path; "~/" becomes the home directory. A relative p is joined to
//     the task's working directory without cleaning ("a/.." behind a symlink
//     is not the working directory).
//  2. real = p with every symlink resolved component by component; a component
//     that does not exist or cannot be read is taken as written, ".." drops the
//     last component of what is resolved so far. This is Python's
//     os.path.realpath, except that with more than 40 links the path is cleaned
//     lexically.
//  3. m = the mount of SELF that holds real: start at the root mount (mount
//     point "/", parent not in the table or itself); go to the child (parent =
//     id of the current mount) whose mount point is a prefix of real, taking
//     the shortest mount point and, of equals, the last line; repeat until no
//     child fits. Without a root mount: the longest mount point, of equals the
//     last line. When real exists and m is autofs or has another device than
//     real (other than on btrfs, overlay, aufs, nfs, zfs and fuse), read the
//     tables again and repeat this step once.
//  4. inside = m.root + (real without m.mountpoint).
//  5. Network and parallel file systems: (fs, base) from type, source and
//     options as the table below says; rel = base + inside.
//  6. Local ones. cand(T) = the mounts of T with m's device and a root that is
//     a prefix of inside, each giving the path mountpoint + (inside without
//     root), kept only when step 3 on T finds that mount for that path (else it
//     is shadowed); the one with the shortest root, then shortest mount point,
//     then first line wins.
//     ONHOST = the pid namespace is the initial one (inode 4026531836) and
//     HOME was read, or there is no sign of a container (no runtime id, root
//     mount neither overlay, squashfs, tmpfs nor a subdirectory of a file
//     system other than btrfs) and the pid namespace is initial or unknown.
//     - ONHOST, cand(HOME) exists: fs = "", rel = cand(HOME). So bind mounts and
//     mount namespaces give the host's outer path.
//     - ONHOST, none: fs = "container:" + C, rel = real; C = runtime id, else
//     "mnt-" + inode of the mount namespace.
//     - else, not a memory or union file system: fs = "dev:major:minor", rel =
//     inside; a collector on the host maps it to the outer path ([Resolver.Outer]).
//     - else fs = "container:" + C with rel = cand(HOME), C = runtime id, else
//     "pid-" + inode of the pid namespace + "-" + start time of its pid 1; and
//     where cand(HOME) does not exist, C + ".mnt-" + inode and rel = real.
//     The runtime id is the last run of exactly 64 lower-case hex digits in the
//     first line of the cgroup file that has one, else in the root of the first
//     such mount on /etc/hostname, /etc/hosts or /etc/resolv.conf. Memory and
//     union file systems are overlay, aufs, tmpfs, ramfs, rootfs, devtmpfs,
//     squashfs, proc, sysfs, devpts, 9p, virtiofs and every fuse.
//  7. mtime = modification time of real in Unix nanoseconds, 0 when it does not
//     exist; size = length of a regular file, else -1.
//
// fs and base by type (server names in lower case, without a last dot):
//
//	nfs, nfs4                server:/export            nfs:server         /export
//	lustre                   nid[:nid]:/name/sub       lustre:name        /sub
//	gpfs                     /dev/name or name         gpfs:name          ""
//	ceph                     user@fsid.name=/sub       ceph:fsid.name     /sub
//	ceph                     mon[:port],mon:/sub       ceph:mon,mon       /sub (sorted, no ports)
//	cifs, smb3, smbfs        //server/share/sub        cifs:server        /share/sub (share in lower case)
//	glusterfs                server[,server]:/volume   glusterfs:server   /volume
//	fuse.sshfs               user@host:/dir            sshfs:host         /dir; /~user/dir for a relative dir
//	afs                      (one name space)          afs                /afs
//	9p with trans=tcp        server                    9p:server          option aname
//	orangefs, pvfs2, panfs   scheme://server/name      type:server        /name
//	wekafs                   backend/name              wekafs:name        ""
//	beegfs                   option sysMgmtdHost       beegfs:host        ""
//
// A type of this table whose source carries no name (beegfs_nodev, dfuse,
// ceph-fuse, none) is known by its mount point: fs = type, rel = cand(SELF) of step 6.
// virtiofs and other 9p mounts name a tag of the hypervisor and no server: they
// count as local, because two machines with one tag need not share a file.
package entity
