//go:build !linux

package sqlite

// networkType knows the network file systems of Linux only.
func networkType(string) (string, error) { return "", nil }
