package elastic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape makes one field name of a path. Dots would nest fields, so that m and m.path excluded each other: they become
// slashes, as in used.cfg/layers. What servers read in a way of their own becomes ~ and two hex digits.
func escape(path string) string {
	if path == "" {
		return "~"
	}
	if isPlain(path) {
		return path
	}
	var b strings.Builder
	for i, r := range path {
		if r > 0xffff { // OpenSearch finds no such field in a source
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, "~%02x", c)
			}
			continue
		}
		if r >= utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		c := path[i]
		switch {
		case c == '.':
			b.WriteByte('/')
		case c < ' ', c == 0x7f, strings.IndexByte(`/~*\"`, c) >= 0, c == ' ' && (i == 0 || i == len(path)-1):
			fmt.Fprintf(&b, "~%02x", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape is the inverse of escape.
func unescape(name string) string {
	if name == "~" {
		return ""
	}
	if strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, '~') < 0 {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '/':
			b.WriteByte('.')
		case c == '~' && i+2 < len(name):
			n, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
			if err != nil {
				return name
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// isPlain says whether a path, as most do, needs no escape.
func isPlain(path string) bool {
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`./~*\"`, c) >= 0 {
			return false
		}
	}
	return true
}

// indexedRoots are the maps of a task whose leaves are fields of the index.
var indexedRoots = []string{
	"used", "generated", "telemetry_start", "telemetry_end", "telemetry_peak", "telemetry_delta", "telemetry_coverage",
}

func isIndexed(root string) bool { return slices.Contains(indexedRoots, root) }

// maxFieldName bounds the names of fields in the index; leaves with longer ones are spilled.
const maxFieldName = 256

// fieldOf is the field of the index that holds a leaf.
func fieldOf(root, path string) string { return root + "." + escape(path) }

// maxTerm bounds the names of leaves in lists of names. Of longer ones the beginning stands for all of it.
const maxTerm = 512

func term(name string) string {
	if len(name) <= maxTerm {
		return name
	}
	end := maxTerm
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
