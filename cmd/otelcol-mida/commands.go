//go:build distribution

// The builder generates the rest of package main. `make build` puts this file
// beside it, so that the binary also runs sub-commands that need no collector.

package main

import (
	"io"
	"os"

	"github.com/otelcol-mida/otelcol-mida/internal/copycmd"
	"github.com/otelcol-mida/otelcol-mida/internal/doctorcmd"
	"github.com/otelcol-mida/otelcol-mida/internal/initcmd"
	"github.com/otelcol-mida/otelcol-mida/internal/rulescmd"
)

// commands maps the first argument to what runs in the collector's place. The
// arguments handed over are those behind it.
var commands = map[string]func(args []string, stdout, stderr io.Writer) int{
	"copy":   copycmd.Main,
	"doctor": doctorcmd.Main,
	"init":   initcmd.Main,
	"rules":  rulescmd.Main,
}

// init runs before the generated main reads the arguments: the collector's own
// command line offers no place to register more.
func init() {
	if len(os.Args) < 2 {
		return
	}
	if run, ok := commands[os.Args[1]]; ok {
		os.Exit(run(os.Args[2:], os.Stdout, os.Stderr))
	}
}
