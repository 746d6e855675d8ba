package entity

import "strings"

// PathInfo is what was found out about a path on the node where its task ran.
// Observers put it beside the value; [Canonical] reads it.
type PathInfo struct {
	// Real is the absolute path with all symlinks resolved, as the task's own
	// mount namespace sees it.
	Real string `json:"real" msgpack:"real"`
	// FS names the file system: "" for a local one of the host, else for
	// example "nfs:server", "container:<id>" or "dev:8:1".
	FS string `json:"fs" msgpack:"fs"`
	// Rel is the absolute path inside FS; for FS "" it is the host's own path.
	Rel string `json:"rel" msgpack:"rel"`
	// ModTime is in Unix nanoseconds; 0 when unknown or when there was no file.
	ModTime int64 `json:"mtime" msgpack:"mtime"`
	// Size is in bytes; -1 when unknown or not a regular file.
	Size int64 `json:"size" msgpack:"size"`
}

// joinRoot appends rel to base; both are absolute or empty, the result is
// absolute and has no trailing slash.
func joinRoot(base, rel string) string {
	base = strings.TrimRight(base, "/")
	rel = strings.Trim(rel, "/")
	switch {
	case rel != "":
		base += "/" + rel
	case base == "":
		return "/"
	}
	if !strings.HasPrefix(base, "/") {
		return "/" + base
	}
	return base
}

// under reports whether path is dir or below it, and the rest of path.
func under(path, dir string) (string, bool) {
	if dir == "/" {
		return strings.TrimPrefix(path, "/"), strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, dir)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}
