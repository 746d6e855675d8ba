package entity

import (
	"path"
	"strings"
)

// Canonical gives the entity that a value names, or false when it names none or
// must not link. doc.go is its contract.
func Canonical(field, value string, info *PathInfo, where Where) (Entity, bool) {
	if !strings.Contains(value, redactedMark) {
		return canonical(field, value, info, where)
	}
	// What was redacted differs for different things, unless it only said who may read.
	e, ok := canonical(field, value, nil, where)
	if !ok || strings.Contains(e.ID, "redacted") {
		return Entity{}, false
	}
	return e, true
}

// redactedMark is what observers write in place of a secret (internal/capture).
const redactedMark = "[redacted]"

func canonical(field, value string, info *PathInfo, where Where) (Entity, bool) {
	if info != nil && info.Real != "" {
		return fromInfo(info, where)
	}
	if len(value) < 2 || len(value) > maxPath {
		return Entity{}, false
	}
	if scheme, rest, ok := cutScheme(value); ok {
		if e, known, ok := fromScheme(scheme, rest, value, where); known {
			return e, ok
		}
	}
	if e, ok := fromField(field, value); ok {
		return e, true
	}
	if !LooksLikePath(field, value) {
		return Entity{}, false
	}
	return fromPath(value, where)
}

// LocalPath is the local path that a value names: the value itself when it looks
// like one, or the file of a file: or sqlite: URI. Observers resolve exactly
// these.
func LocalPath(field, value string) (string, bool) {
	if strings.Contains(value, redactedMark) {
		return "", false
	}
	if scheme, rest, ok := cutScheme(value); ok && len(value) <= maxPath {
		switch {
		case scheme == "file":
			host, p, ok := filePath(rest)
			return p, ok && host == ""
		case isFileDatabase(scheme):
			return databasePath(rest)
		}
	}
	return value, LooksLikePath(field, value)
}

// cutScheme splits "scheme:rest" and lower-cases the scheme. One letter is a
// Windows drive, not a scheme.
func cutScheme(s string) (scheme, rest string, ok bool) {
	for i := range len(s) {
		c := s[i]
		if c == ':' {
			return strings.ToLower(s[:i]), s[i+1:], i > 1
		}
		if i > 24 || !isAlpha(c) && (i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.') {
			break
		}
	}
	return "", "", false
}

// fromScheme handles everything of the form "scheme:rest". known is false when
// the scheme says nothing about what the value is.
func fromScheme(scheme, rest, value string, where Where) (e Entity, known, ok bool) {
	switch scheme {
	case "file":
		if e, ok := ownFile(value); ok {
			return e, true, true
		}
		host, p, ok := filePath(rest)
		if !ok {
			return Entity{}, true, false
		}
		if host != "" {
			where.Host, where.Container = host, ""
		}
		e, ok = fromPath(p, where)
		return e, true, ok
	case "models", "runs", "mlflow-artifacts", "mlflow":
		e, ok := fromMLflow(scheme, rest)
		return e, true, ok
	case "digest":
		if name, digest, cut := strings.Cut(strings.TrimPrefix(rest, "mlflow:"), ":"); cut && strings.HasPrefix(rest, "mlflow:") {
			e, ok := Dataset(unescape(name), unescape(digest))
			return e, true, ok
		}
		algo, hex, _ := strings.Cut(rest, ":")
		e, ok := fromDigest(strings.ToLower(algo), hex)
		return e, true, ok
	case "uri":
		if inner, rest, ok := cutScheme(rest); ok {
			e, ok := fromURI(inner, rest, where)
			return e, true, ok
		}
		return Entity{}, true, false
	}
	if _, ok := digestLen[scheme]; ok {
		e, ok := fromDigest(scheme, rest)
		return e, true, ok
	}
	if isFileDatabase(scheme) {
		p, ok := databasePath(rest)
		if ok {
			e, ok = fromPath(p, where)
		}
		return e, true, ok
	}
	if strings.HasPrefix(rest, "//") || scheme == "dbfs" || scheme == "doi" || scheme == "ark" {
		e, ok := fromURI(scheme, rest, where)
		return e, true, ok
	}
	return Entity{}, false, false
}

// fromInfo is the identity of a path that its observer resolved.
func fromInfo(info *PathInfo, where Where) (Entity, bool) {
	rel := info.Rel
	if rel == "" {
		rel = info.Real
	}
	rel = cleanAbs(rel)
	id, ok := fileID(info.FS, rel, where)
	if !ok || rel == "/" {
		return Entity{}, false
	}
	conf := confResolved
	switch {
	case strings.HasPrefix(info.FS, "container:") && strings.Contains(info.FS, "mnt-"):
		conf = confNamespace
	case info.ModTime == 0:
		conf = confAbsent
	}
	return Entity{ID: id, Evidence: EvidencePath, Confidence: conf, Form: rel}, true
}

// fromPath is the identity of a path that nobody resolved.
func fromPath(p string, where Where) (Entity, bool) {
	fs := ""
	if where.Container != "" {
		fs = "container:" + where.Container
	}
	switch {
	case isWindowsPath(p):
		p = windowsSlashes(p)
		if share, ok := strings.CutPrefix(p, "//"); ok {
			server, dir, _ := strings.Cut(share, "/")
			name, sub, _ := strings.Cut(dir, "/")
			fs, p = "cifs:"+serverName(server), joinRoot("/"+strings.ToLower(name), sub)
		}
	case p == "" || p[0] == '~':
		return Entity{}, false // only the node knows whose home that is
	case p[0] != '/':
		cwd := where.Cwd
		if isWindowsPath(cwd) {
			cwd = "/" + windowsSlashes(cwd)
		}
		if cwd == "" || cwd[0] != '/' {
			return Entity{}, false
		}
		p = cwd + "/" + p
	}
	p = cleanAbs(p)
	id, ok := fileID(fs, p, where)
	if !ok || p == "/" {
		return Entity{}, false
	}
	return Entity{ID: id, Evidence: EvidencePath, Confidence: confUnresolved, Form: p}, true
}

func cleanAbs(p string) string {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	return path.Clean(p)
}

// windowsSlashes gives C:\a and c:/a one form; the drive is a directory then.
func windowsSlashes(p string) string {
	p = strings.ReplaceAll(p, `\`, "/")
	if len(p) > 1 && p[1] == ':' && isLower(p[0]) {
		p = string(p[0]-'a'+'A') + p[1:]
	}
	return p
}

// fileID writes the ID of a file; it is false when the ID would hold for files
// of several hosts.
func fileID(fs, rel string, where Where) (string, bool) {
	site := ""
	if where.Site != "" {
		site = escapeName(where.Site) + "/"
	}
	rel = escapePath(rel)
	switch scopeOf(fs) {
	case scopeGlobal:
		return "file:" + escapeFS(fs) + ":" + rel, true
	case scopeSite:
		return "file:" + site + escapeFS(fs) + ":" + rel, true
	}
	if where.Host == "" {
		return "", false
	}
	host := escapeName(strings.ToLower(where.Host))
	if fs == "" {
		return "file:" + site + host + ":" + rel, true
	}
	return "file:" + site + host + "/" + escapeFS(fs) + ":" + rel, true
}

func escapeFS(fs string) string {
	return escape(fs, func(c byte) bool { return c == '/' || c == ' ' })
}

type scope int

const (
	scopeHost scope = iota
	scopeSite
	scopeGlobal
)

// scopeOf says how far the name of a file system is unique. A full server name
// and a random id are unique everywhere; a short name or an IP address only
// inside the site; devices and loopback only on the host.
func scopeOf(fs string) scope {
	kind, server, _ := strings.Cut(fs, ":")
	switch kind {
	case "", "dev":
		return scopeHost
	case "afs":
		return scopeGlobal
	case "container":
		if len(server) >= 64 && isHex(server[0]) && !strings.Contains(server, ".mnt-") && lastHexRun(server) != "" {
			return scopeGlobal
		}
		return scopeHost
	case "ceph":
		if len(server) > 36 && server[8] == '-' && server[36] == '.' {
			return scopeGlobal // fsid.name
		}
	}
	if isLoopback(server) {
		return scopeHost
	}
	if strings.Contains(server, ",") || strings.Contains(server, ":") {
		return scopeSite
	}
	if fullName(server) {
		return scopeGlobal
	}
	return scopeSite
}

func isLoopback(server string) bool {
	return server == "localhost" || strings.HasPrefix(server, "127.") || server == "::1" || server == "[::1]" || strings.HasPrefix(server, "localhost:")
}

// fullName reports whether a server's name is one of the public DNS.
func fullName(server string) bool {
	i := strings.LastIndexByte(server, '.')
	if i <= 0 || i+1 == len(server) || !isAlpha(server[i+1]) {
		return false
	}
	switch server[i+1:] {
	case "local", "lan", "internal", "intern", "home", "cluster", "localdomain", "private", "corp":
		return false
	}
	return true
}

// ownFile takes back an ID that fileID wrote. Hosts are in lower case there, so
// file:C:/x is a Windows path.
func ownFile(value string) (Entity, bool) {
	rest, ok := strings.CutPrefix(value, "file:")
	i := strings.Index(rest, ":/")
	if !ok || i < 1 || i == 1 && isUpper(rest[0]) || rest[0] == '/' || strings.ContainsAny(rest[:i], " \t") {
		return Entity{}, false
	}
	p := rest[i+1:]
	if p == "/" || path.Clean(p) != p || !literal(value) {
		return Entity{}, false
	}
	return Entity{ID: value, Evidence: EvidencePath, Confidence: confUnresolved, Form: p}, true
}

// filePath is the path of a file: URI; host is "" for this host.
func filePath(rest string) (host, p string, ok bool) {
	if authority, found := strings.CutPrefix(rest, "//"); found {
		i := strings.IndexByte(authority, '/')
		if i < 0 {
			return "", "", false
		}
		host, rest = strings.ToLower(authority[:i]), authority[i:]
		if host == "localhost" || host == "127.0.0.1" {
			host = ""
		}
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = unescape(rest)
	if strings.HasPrefix(rest, "/") && isWindowsPath(rest[1:]) {
		rest = rest[1:]
	}
	if !isWindowsPath(rest) && (rest == "" || rest[0] != '/') || strings.ContainsRune(rest, 0) {
		return "", "", false
	}
	return host, rest, hasName(rest)
}

func isFileDatabase(scheme string) bool {
	dialect, _, _ := strings.Cut(scheme, "+")
	return dialect == "sqlite" || dialect == "duckdb"
}

// databasePath is the file of sqlite:///relative.db, sqlite:////absolute.db.
func databasePath(rest string) (string, bool) {
	p, ok := strings.CutPrefix(rest, "///")
	if !ok {
		return "", false
	}
	p, query, _ := strings.Cut(p, "?")
	p = strings.TrimPrefix(p, "file:")
	if !hasName(p) || strings.HasPrefix(p, ":memory:") || strings.Contains(query, "mode=memory") || strings.ContainsRune(p, 0) {
		return "", false
	}
	return p, true
}
