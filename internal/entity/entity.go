package entity

import (
	"math"
	"strconv"
	"strings"
)

// Evidence says what an entity's identity, and so a link over it, rests on.
type Evidence string

// The kinds of evidence of a claim. Canonical gives path, uri, id and digest;
// the others come from those who know: the tool (declared), a rule (value),
// observed reads and writes (io), a person.
const (
	EvidenceDeclared Evidence = "declared"
	EvidenceDigest   Evidence = "digest"
	EvidenceIO       Evidence = "io"
	EvidencePath     Evidence = "path"
	EvidenceURI      Evidence = "uri"
	EvidenceID       Evidence = "id"
	EvidenceValue    Evidence = "value"
	EvidencePerson   Evidence = "person"
)

// How much an identity is worth, from 0 to 1. What lowers it further (times,
// a producer that still runs) belongs to links.
const (
	confDeclared   = 1.0
	confDigest     = 0.99
	confID         = 0.97
	confResolved   = 0.95 // the file was there
	confURI        = 0.9
	confAbsent     = 0.8 // resolved, but no file yet
	confValue      = 0.8
	confUnresolved = 0.7 // nobody looked at the node
	confNamespace  = 0.6 // the kernel may give the namespace's number again
	confMoving     = 0.5 // an alias or stage: it names another version tomorrow
)

// Entity is one identified thing.
type Entity struct {
	// ID is the identity; equal things have equal IDs in every process.
	ID         string
	Evidence   Evidence
	Confidence float64
	// Form is the normal form that the ID was made of: the path inside its
	// file system, the URI, the tool's id, the hex digest.
	Form string
}

// Where is what the pure half must know about the place where a task ran.
type Where struct {
	// Site is the collector's one key for "here"; "" leaves IDs unqualified.
	Site string
	// Host is host.name. Without it nothing local to a host gets an identity.
	Host string
	// Cwd is the working directory of the task; without it an unresolved
	// relative path gets no identity.
	Cwd string
	// Container is [Resolver.Container] of the task's process, "" on the host.
	// It is used for paths without a PathInfo only.
	Container string
}

// Task is the entity of a declared edge: "the result of that task".
func Task(id string) Entity {
	return Entity{ID: "task:" + id, Evidence: EvidenceDeclared, Confidence: confDeclared, Form: id}
}

// Dataset identifies a data set by name and digest as MLflow records them. Such
// a digest is short and tool-specific: without the name it identifies nothing.
func Dataset(name, digest string) (Entity, bool) {
	if name == "" || digest == "" {
		return Entity{}, false
	}
	form := escapeName(name) + ":" + escapeName(digest)
	return Entity{ID: "digest:mlflow:" + form, Evidence: EvidenceDigest, Confidence: confDigest, Form: form}, true
}

// ByValue identifies a value because a rule of the configuration says that equal
// values of its fields are one thing (a sample number, a proposal). Numbers that
// compare equal are equal: 1 is 1.0. Empty strings, NaN, infinities and
// containers identify nothing.
func ByValue(rule string, value any) (Entity, bool) {
	form := ""
	switch v := value.(type) {
	case string:
		if form = strings.TrimSpace(v); form == "" {
			return Entity{}, false
		}
		form = escapePath(form)
		if _, err := strconv.ParseFloat(form, 64); err == nil || form == "true" || form == "false" {
			form = strconv.Quote(form) // the string "1" is not the number 1
		}
	case bool:
		form = strconv.FormatBool(v)
	case int64:
		form = strconv.FormatInt(v, 10)
	case float64:
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return Entity{}, false
		case v == math.Trunc(v) && math.Abs(v) < 1<<53:
			form = strconv.FormatInt(int64(v), 10)
		default:
			form = strconv.FormatFloat(v, 'g', -1, 64)
		}
	default:
		return Entity{}, false
	}
	if rule == "" {
		return Entity{}, false
	}
	return Entity{ID: "value:" + escapeName(rule) + ":" + form, Evidence: EvidenceValue, Confidence: confValue, Form: form}, true
}

// deepest is how deeply nested values are looked at.
const deepest = 64

// Walk visits every leaf of a task's used or generated values: everything but
// maps and lists, with the keys that lead to it. Elements of a list have the
// list's path. Maps with a single key that begins with "$" are encodings (cut
// values, summaries of arrays, huge integers) and are left out. path is only
// valid during the call. Keys are visited in no fixed order; nesting deeper than
// 64 levels is left out.
func Walk(values map[string]any, visit func(path []string, value any)) {
	walkMap(values, make([]string, 0, 8), visit)
}

func walkMap(m map[string]any, path []string, visit func([]string, any)) {
	if len(path) == deepest {
		return
	}
	for k, v := range m {
		if len(m) == 1 && strings.HasPrefix(k, "$") {
			return
		}
		walkValue(v, append(path, k), 0, visit)
	}
}

func walkValue(v any, path []string, depth int, visit func([]string, any)) {
	switch v := v.(type) {
	case map[string]any:
		walkMap(v, path, visit)
	case []any:
		if depth >= deepest {
			return
		}
		for _, e := range v {
			walkValue(e, path, depth+1, visit)
		}
	default:
		visit(path, v)
	}
}
