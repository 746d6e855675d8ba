package taskquery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// What an assistant can take in at a time, in bytes of JSON: some 20,000 tokens.
const (
	maxToolAnswer = 48 << 10
	maxToolError  = 4 << 10
)

// Bytes of one text in an answer that is too large, first, and where shorter lists do not suffice.
const (
	longText  = 2000
	shortText = 200
)

// fit cuts an answer to a size, and says what it left out and how to ask for less ("" when all is there). First the lists of
// the answer itself get shorter, and texts that are very long; then, where one entry alone is too large, what is in it.
func fit(body []byte, limit int, less string) (out []byte, cut string, err error) {
	if len(body) <= limit {
		return body, "", nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var whole map[string]any
	if err := decoder.Decode(&whole); err != nil {
		return nil, "", fmt.Errorf("the answer cannot be cut: %w", err)
	}
	budget := limit - limit/16 // the sentence needs room
	for _, try := range []func(n int) *cutter{
		func(n int) *cutter { return &cutter{outer: n, inner: limit, text: longText} },
		func(n int) *cutter { return &cutter{outer: 1, inner: n, text: shortText} },
	} {
		// An entry takes two bytes at least.
		n := sort.Search(limit/2, func(n int) bool { return len(encode(try(n+1).apply(whole))) > budget })
		if n == 0 {
			continue
		}
		c := try(n)
		answer := c.apply(whole)
		cut = c.sentence(limit, less)
		if len(c.shown) > 0 {
			answer["truncated"] = true
			delete(answer, "next_cursor") // it leads behind what was left out
			delete(answer, "live")
		}
		answer["cut"] = cut
		return encode(answer), cut, nil
	}
	return nil, "", errors.New("the answer is too large however it is cut")
}

// encode is JSON as package task writes it: without escapes that only HTML needs.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // what was decoded can be encoded
	return bytes.TrimSpace(b.Bytes())
}

// cutter leaves out what is beyond its bounds, and counts it.
type cutter struct {
	outer, inner, text int // entries of the answer's own lists, of lists and maps in them, bytes of a text
	shown              []string
	entries, texts     int
}

func (c *cutter) apply(answer map[string]any) map[string]any {
	out := make(map[string]any, len(answer))
	for _, k := range slices.Sorted(maps.Keys(answer)) {
		list, ok := answer[k].([]any)
		if !ok {
			out[k] = c.value(answer[k])
			continue
		}
		if len(list) > c.outer {
			c.shown = append(c.shown, fmt.Sprintf("%s: %d of %d shown", k, c.outer, len(list)))
			list = list[:c.outer]
		}
		some := make([]any, len(list))
		for i, v := range list {
			some[i] = c.value(v)
		}
		out[k] = some
	}
	return out
}

func (c *cutter) value(v any) any {
	switch v := v.(type) {
	case string:
		if len(v) > c.text {
			c.texts++
		}
		return shorten(v, c.text)
	case []any:
		if len(v) > c.inner {
			c.entries += len(v) - c.inner
			v = v[:c.inner]
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = c.value(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.SortedFunc(maps.Keys(v), idsFirst) {
			if len(k) > c.text || len(out) >= c.inner && !isID(k) {
				c.entries++
				continue
			}
			out[k] = c.value(v[k])
		}
		return out
	}
	return v
}

func isID(key string) bool { return key == "id" || key == "task_id" }

// idsFirst keeps the ids, which a statement cites, of an entry that is cut.
func idsFirst(a, b string) int {
	switch x, y := isID(a), isID(b); {
	case x && !y:
		return -1
	case y && !x:
		return 1
	}
	return strings.Compare(a, b)
}

func (c *cutter) sentence(limit int, less string) string {
	parts := c.shown
	if c.texts > 0 {
		parts = append(parts, fmt.Sprintf("%d long texts shortened", c.texts))
	}
	if c.entries > 0 {
		parts = append(parts, fmt.Sprintf("%d inner entries left out", c.entries))
	}
	return strings.TrimSpace(fmt.Sprintf("This answer was cut to fit %d KiB: %s. %s", limit>>10, strings.Join(parts, "; "), less))
}

// shorten cuts a text between characters and says how long it was.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes in all)", s[:end], len(s))
}
