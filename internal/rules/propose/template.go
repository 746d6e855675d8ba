package propose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// entry is one entry of the log.
type entry struct {
	message, level string
	fields         map[string]any // of a JSON line
}

// slot is a value of a template: its name, its type in the rules, and what stood there.
type slot struct {
	at     int // piece
	name   string
	typ    string
	values []string
	fromJS bool // a field of a JSON line
}

func (s *slot) distinct() map[string]bool {
	m := make(map[string]bool, len(s.values))
	for _, v := range s.values {
		m[v] = true
	}
	return m
}

// template is what messages have in common.
type template struct {
	pieces []piece // of the first message
	slots  []slot
	levels map[string]int
	count  int
	first  int // number of the first entry
	words  []string
}

const (
	mostClusters  = 2000
	mostTemplates = 60
	namesMake     = 3 // that many words in one place are values
)

// shape is what messages must share to be alike, without their words.
func shape(pieces []piece, skip int, withWords bool) string {
	var b strings.Builder
	for i, p := range pieces {
		switch {
		case i == skip:
			b.WriteString("\x00?")
		case p.kind == word && !withWords:
			b.WriteString("\x00w")
		case p.kind == mark, p.kind == word:
			b.WriteString(p.text)
		default:
			fmt.Fprintf(&b, "\x00%d", p.kind)
		}
	}
	return b.String()
}

// cluster is messages with the same words.
type cluster struct {
	pieces  [][]piece
	entries []int
	slotAt  map[int]bool // words that are values
}

// clusters puts messages together, first those with the same words, then those that differ in one word that is a name.
func clusters(entries []entry) []*cluster {
	byWords := map[string]*cluster{}
	var order []string
	for i, e := range entries {
		p := cut(e.message)
		key := shape(p, -1, true)
		c := byWords[key]
		if c == nil {
			if len(byWords) == mostClusters {
				continue
			}
			c = &cluster{slotAt: map[int]bool{}}
			byWords[key] = c
			order = append(order, key)
		}
		c.pieces, c.entries = append(c.pieces, p), append(c.entries, i)
	}
	var list []*cluster
	for _, key := range order {
		list = append(list, byWords[key])
	}
	return names(list)
}

// names merges clusters that differ in one word, where that word is a name.
func names(list []*cluster) []*cluster {
	alike := map[string][]*cluster{}
	var order []string
	place := map[string]int{}
	for _, c := range list {
		for i, p := range c.pieces[0] {
			if p.kind != word || isVerb(p.text) || stop[strings.ToLower(p.text)] {
				continue
			}
			key := shape(c.pieces[0], i, true) + fmt.Sprint("\x00", i)
			if alike[key] == nil {
				order = append(order, key)
			}
			alike[key], place[key] = append(alike[key], c), i
		}
	}
	gone := map[*cluster]bool{}
	for _, key := range order {
		same := slices.DeleteFunc(slices.Clone(alike[key]), func(c *cluster) bool { return gone[c] })
		if len(same) < namesMake {
			continue
		}
		into := same[0]
		into.slotAt[place[key]] = true
		for _, c := range same[1:] {
			into.pieces, into.entries = append(into.pieces, c.pieces...), append(into.entries, c.entries...)
			gone[c] = true
		}
	}
	return slices.DeleteFunc(list, func(c *cluster) bool { return gone[c] })
}

// templates finds the templates of all entries, the most frequent first.
func templates(entries []entry) []*template {
	var list []*template
	for _, c := range clusters(entries) {
		t := &template{pieces: c.pieces[0], levels: map[string]int{}, count: len(c.entries), first: slices.Min(c.entries)}
		for _, i := range c.entries {
			t.levels[strings.ToLower(entries[i].level)]++
		}
		for i, p := range t.pieces {
			if p.kind == word && !c.slotAt[i] {
				t.words = append(t.words, strings.ToLower(p.text))
				continue
			}
			if p.kind == mark {
				continue
			}
			s := slot{at: i}
			for _, message := range c.pieces {
				s.values = append(s.values, message[i].text)
			}
			s.typ = typeOf(t.pieces[i].kind, s.values)
			t.slots = append(t.slots, s)
		}
		t.name()
		t.fieldsOf(entries, c.entries)
		list = append(list, t)
	}
	slices.SortStableFunc(list, func(a, b *template) int { return b.count - a.count })
	return list[:min(len(list), mostTemplates)]
}

func typeOf(k kind, values []string) string {
	switch k {
	case num:
		if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, ".eE") }) {
			return "float"
		}
		return "int"
	case took:
		return "duration"
	case file:
		return "path"
	case jsons:
		return "json"
	case pys:
		return "python"
	case quote:
		return ""
	default:
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, " ") }) {
			return ""
		}
		return "word"
	}
}

// reserved captures are in every entry.
var reserved = map[string]bool{"time": true, "clock": true, "level": true, "logger": true, "message": true, "more": true, "file": true, "log_dir": true}

var badName = regexp.MustCompile(`[^\p{L}\p{N}_]+`)

// name names the slots by their keys, else by the word before them.
func (t *template) name() {
	taken := map[string]bool{}
	before := ""
	for i := range t.slots {
		s := &t.slots[i]
		p := t.pieces[s.at]
		name := p.key
		switch {
		case name != "" && (p.kind != file || !reserved[name]):
		case p.kind == took:
			name = "took"
		case p.kind == file:
			name = "path"
		case p.kind == num && s.at > 1 && t.pieces[s.at-1].text == "/" && before != "":
			name = before + "s" // epoch 3/10
		default:
			name = t.wordBefore(s.at)
		}
		name = strings.Trim(badName.ReplaceAllString(strings.ToLower(name), "_"), "_")
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			name = "value"
		}
		if reserved[name] {
			name += "_value"
		}
		unique := name
		for n := 2; taken[unique]; n++ {
			unique = fmt.Sprintf("%s_%d", name, n)
		}
		taken[unique] = true
		s.name, before = unique, unique
	}
}

// wordBefore is the word that says what the value behind it is.
func (t *template) wordBefore(at int) string {
	for i := at - 1; i >= 0; i-- {
		p := t.pieces[i]
		if p.kind == word && !stop[strings.ToLower(p.text)] {
			if isVerb(p.text) {
				return "name"
			}
			return p.text
		}
		if p.kind != mark && p.kind != word {
			break
		}
	}
	return "value"
}

// pattern writes the template as a pattern of the rules.
func (t *template) pattern() string {
	var b strings.Builder
	for i, p := range t.pieces {
		if s := t.slotAt(i); s != nil {
			b.WriteString("{" + s.name)
			if s.typ != "" {
				b.WriteString(":" + s.typ)
			}
			b.WriteString("}")
			continue
		}
		b.WriteString(strings.NewReplacer("{", "{{", "}", "}}").Replace(p.text))
	}
	return b.String()
}

// loose is the pattern with {} for all values.
func (t *template) loose() string {
	var b strings.Builder
	for i, p := range t.pieces {
		if t.slotAt(i) != nil {
			b.WriteString("{}")
			continue
		}
		b.WriteString(strings.NewReplacer("{", "{{", "}", "}}").Replace(p.text))
	}
	return b.String()
}

func (t *template) slotAt(i int) *slot {
	for k := range t.slots {
		if t.slots[k].at == i && !t.slots[k].fromJS {
			return &t.slots[k]
		}
	}
	return nil
}

func (t *template) slotNamed(name string) *slot {
	for k := range t.slots {
		if t.slots[k].name == name {
			return &t.slots[k]
		}
	}
	return nil
}

func (t *template) isLevel(names ...string) bool {
	n := 0
	for _, name := range names {
		n += t.levels[name]
	}
	return 2*n > t.count
}
