// Package testdata holds the query scripts, so that the tests of every store can run them.
package testdata

import "embed"

// Scripts are the *.txt files of this directory.
//
//go:embed *.txt
var Scripts embed.FS
