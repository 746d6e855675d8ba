// Package web carries the built web UI.
package web

import (
	"embed"
	"io/fs"
)

// `make ui` fills dist/ui; the directory has a file of its own, so that the module also compiles without Node.
//
//go:embed all:dist
var dist embed.FS

// Files returns the built UI, false when it was not built.
func Files() (fs.FS, bool) {
	ui, err := fs.Sub(dist, "dist/ui")
	if err != nil {
		return nil, false
	}
	if _, err := fs.Stat(ui, "index.html"); err != nil {
		return nil, false
	}
	return ui, true
}
