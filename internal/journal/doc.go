// Package journal reads and writes Journal v1 (docs/journal.md): the files through which an observer inside somebody
// else's process hands task events to the collector of its node.
//
// Reader is the collector's side: it polls the directory of this host, reads the segments of all observers in parallel
// and those of one observer in order, and moves a position only after the pipeline accepted what lies before it. Writer
// is the other side, for observers in Go and for tests.
package journal
