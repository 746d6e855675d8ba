//go:build !linux

package entity

import "os"

// deviceOf has no use without a mount table to compare with.
func deviceOf(os.FileInfo) string { return "" }
