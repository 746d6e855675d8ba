//go:build !unix

package journal

import "io/fs"

const openFlags = 0

// checkOwner relies on the access list of the directory where files have no owner id.
func checkOwner(fs.FileInfo) error { return nil }
