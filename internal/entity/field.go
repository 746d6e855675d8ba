package entity

import "strings"

// hint says how far the name of a field vouches for a path.
type hint int

const (
	hintNone  hint = iota
	hintThing      // names a thing that often is a file: dataset, checkpoint
	hintPath       // says path, file or directory
)

var thingWords = set("dataset datasets checkpoint checkpoints ckpt model models weights image images picture " +
	"data input inputs output outputs artifact artifacts snapshot snapshots src dst source destination archive " +
	"table log logs config notebook script plot figure result results volume mask masks frame frames")

var pathWords = set("path paths file files filename filenames filepath filepaths fname fpath pathname " +
	"dir dirs directory directories folder folders")

// fillerWords stand after the word that counts: file_name, image_path_in, files_2.
var fillerWords = set("name names in out")

// fieldHint judges the last part of a dotted field name, or, where that says
// nothing, the part before it: {"files": {"left": "a.tif"}}.
func fieldHint(field string) hint {
	last := field
	for range 2 {
		i := strings.LastIndexByte(last, '.')
		if h := wordHint(last[i+1:]); h != hintNone || i < 0 {
			return h
		}
		last = last[:i]
	}
	return hintNone
}

func wordHint(name string) hint {
	var buf [32]byte
	for {
		word, rest := lastWord(name)
		if word == "" {
			return hintNone
		}
		name = rest
		if len(word) > len(buf) {
			return hintNone
		}
		w := buf[:len(word)]
		digits := true
		for i := range w {
			c := word[i]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			digits = digits && isDigit(c)
			w[i] = c
		}
		switch {
		case pathWords[string(w)]:
			return hintPath
		case thingWords[string(w)]:
			return hintThing
		case !digits && !fillerWords[string(w)]:
			return hintNone
		}
	}
}

// lastWord cuts the last word off a snake_case, kebab-case or camelCase name.
func lastWord(name string) (word, rest string) {
	end := len(name)
	for end > 0 && !isAlnum(name[end-1]) {
		end--
	}
	i := end
	for i > 0 && isAlnum(name[i-1]) {
		i--
		if i > 0 && isUpper(name[i]) && isLower(name[i-1]) {
			break
		}
		if i > 0 && isDigit(name[i]) != isDigit(name[i-1]) && isAlnum(name[i-1]) {
			break
		}
	}
	return name[i:end], name[:i]
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isAlpha(c byte) bool { return isUpper(c) || isLower(c) }
func isAlnum(c byte) bool { return isAlpha(c) || isDigit(c) }
func isHex(c byte) bool   { return isDigit(c) || c >= 'a' && c <= 'f' }
