package propose

import (
	"encoding/json"
	"regexp"
	"strings"
)

// kind of a piece of a message.
type kind int

const (
	mark  kind = iota // a sign, or a blank
	word              // letters
	num               // a number
	took              // a number with a unit of time
	file              // a path
	id                // hexadecimal digits, a URI
	quote             // between quotes
	value             // behind key=, and none of these
	jsons             // JSON up to the end
	pys               // what Python prints, up to the end
)

// piece of a message: its text, and the key that stands before a value.
type piece struct {
	kind kind
	text string
	key  string
}

const extensions = `npz|npy|csv|tsv|h5|hdf5|tiff?|png|jpe?g|json|ya?ml|pkl|pickle|pt|pth|txt|dat|parquet|nc|fits|zarr|mrc|xyz|cif|pdb|log|gz|zip|tar|ckpt|onnx|model|out|xml|bin|root|feather|mat|vtk|stl|db|sqlite`

var forms = []struct {
	kind kind
	re   *regexp.Regexp
}{
	{id, regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^\s,;)\]]+`)},
	{file, regexp.MustCompile(`^(?:[A-Za-z]:)?[\w.~@+-]*(?:/[\w.@+=~-]*[A-Za-z_][\w.@+=~-]*)+/?`)},
	{file, regexp.MustCompile(`^[\w.-]*\w\.(?:` + extensions + `)\b`)},
	{id, regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)},
	{id, regexp.MustCompile(`^(?:[0-9]+[a-f]|[a-f]+[0-9])[0-9a-f]{6,}\b`)},
	{value, regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?`)},
	{took, regexp.MustCompile(`^\d+(?:\.\d+)? ?(?:ms|us|µs|s|secs?|seconds?|mins?|minutes?|h|hours?)\b`)},
	{num, regexp.MustCompile(`^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`)},
	{word, regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_-]*`)},
}

var (
	keyForm   = regexp.MustCompile(`^([A-Za-z_][\w.]*)=`)
	valueForm = regexp.MustCompile(`^[^\s,;)\]]+`)
	wordEnd   = regexp.MustCompile(`[\p{L}\p{N}_.]$`)
)

// cut takes a message apart. Blanks count as one.
func cut(s string) []piece {
	s = strings.Join(strings.Fields(s), " ")
	var out []piece
	for at := 0; at < len(s); {
		rest := s[at:]
		if k := structured(rest); k != mark {
			return append(out, piece{kind: k, text: rest})
		}
		free := at == 0 || !wordEnd.MatchString(s[:at]) // no value begins within a word
		if m := keyForm.FindStringSubmatch(rest); m != nil && free {
			at += len(m[0])
			out = append(out, piece{kind: word, text: m[1]}, piece{text: "="})
			p := of(s[at:])
			if p.kind == word || p.kind == mark { // a word as a value
				p = piece{kind: value, text: valueForm.FindString(s[at:])}
			}
			if structured(s[at:]) != mark || p.text == "" || p.kind == quote {
				continue
			}
			p.key = m[1]
			out = append(out, p)
			at += len(p.text)
			continue
		}
		p := of(rest)
		if !free && p.kind != word && p.kind != mark {
			p = piece{text: rest[:1]}
		}
		if p.kind == quote {
			out = append(out, piece{text: rest[:1]}, p, piece{text: rest[:1]})
			at += len(p.text) + 2
			continue
		}
		if p.kind == word && strings.ContainsAny(p.text, "0123456789") { // a name, such as MoS2-17
			p.kind = value
		}
		out = append(out, p)
		at += len(p.text)
	}
	return out
}

// structured says whether all the rest is one JSON or Python value.
func structured(s string) kind {
	if s == "" || s[0] != '{' && s[0] != '[' {
		return mark
	}
	if json.Valid([]byte(s)) && len(s) > 2 {
		return jsons
	}
	if strings.HasPrefix(s, "{'") && strings.HasSuffix(s, "}") {
		return pys
	}
	return mark
}

// of is the piece that a text begins with.
func of(s string) piece {
	if s == "" {
		return piece{}
	}
	if s[0] == '"' || s[0] == '\'' {
		if end := strings.IndexByte(s[1:], s[0]); end > 0 {
			return piece{kind: quote, text: s[1 : end+1]}
		}
	}
	for _, f := range forms {
		m := f.re.FindString(s)
		if m == "" || f.kind == num && len(m) < len(s) && isLetter(s[len(m)]) {
			continue
		}
		if f.kind == num && strings.HasSuffix(m, ".") { // the end of a sentence
			m = strings.TrimSuffix(m, ".")
		}
		if f.kind == file {
			m = strings.TrimRight(m, ".")
		}
		return piece{kind: f.kind, text: m}
	}
	for i := range s { // one sign, whole
		if i > 0 {
			return piece{text: s[:i]}
		}
	}
	return piece{text: s}
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' }
