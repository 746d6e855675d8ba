//go:build linux

package sqlite

import "golang.org/x/sys/unix"

// networkTypes are the file systems whose locks and shared memory do not reach over all machines that mount them.
var networkTypes = map[int64]string{
	0x6969: "nfs", 0x0BD00BD0: "lustre", 0x47504653: "gpfs", 0x19830326: "beegfs", 0xFF534D42: "cifs", 0xFE534D42: "smb2",
	0x517B: "smb", 0x65735546: "fuse", 0x01021997: "9p", 0x5346414F: "afs", 0x6B414653: "afs", 0x73757245: "coda",
	0x00C36400: "ceph", 0x7461636F: "ocfs2", 0x01161970: "gfs2", 0x013111A8: "ibrix", 0xAAD7AAEA: "panfs", 0x564C: "ncp",
	0x20030528: "orangefs", 0x65735543: "fusectl",
}

// networkType names the network file system that holds a directory, "" for a local one.
func networkType(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	return networkTypes[int64(uint32(st.Type))], nil
}
