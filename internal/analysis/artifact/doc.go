// Package artifact reads files that lineage names, for people who look at a result: plots to display, and what the headers of
// data and model files say. Only regular files below directories that the operator allows are opened, never through a
// symbolic link that leads out of them, and nothing of a file is ever run: a pickle is named, not read.
package artifact
