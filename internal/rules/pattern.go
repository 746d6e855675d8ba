package rules

import (
	"fmt"
	"regexp"
	"strings"
)

// A pattern is text with fields: {name}, {name:type}, {name:type(argument)}, {} for what does not matter; {{ and }} are
// braces. One blank fits any number of blanks.
type pattern struct {
	source string
	re     *regexp.Regexp
	fields []field
	lines  bool // spans the lines of a record
	steps  []step
}

type field struct {
	name string
	conv converter
}

// part is a literal or a field of a pattern or a template.
type part struct {
	text  string // literal
	name  string
	typ   string
	arg   string
	field bool
	at    int // byte in the source, for errors
}

// String is a field as it is written.
func (p part) String() string {
	if p.typ == "" {
		return "{" + p.name + "}"
	}
	if p.arg != "" {
		return "{" + p.name + ":" + p.typ + "(" + p.arg + ")}"
	}
	return "{" + p.name + ":" + p.typ + "}"
}

func parseParts(src string) ([]part, error) {
	var parts []part
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			parts = append(parts, part{text: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c == '{' && strings.HasPrefix(src[i:], "{{"), c == '}' && strings.HasPrefix(src[i:], "}}"):
			lit.WriteByte(c)
			i += 2
		case c == '{':
			end := fieldEnd(src, i)
			if end < 0 {
				return nil, fmt.Errorf("the { at character %d is not closed; write {{ for a brace that is text", i+1)
			}
			if inner := strings.IndexAny(src[i+1:end], "({"); inner >= 0 && src[i+1+inner] == '{' {
				return nil, fmt.Errorf("the { at character %d is not closed before the next one; write {{ for a brace that is text", i+1)
			}
			p, err := parseField(src[i+1:end], i)
			if err != nil {
				return nil, err
			}
			flush()
			parts = append(parts, p)
			i = end + 1
		case c == '}':
			return nil, fmt.Errorf("the } at character %d has no {; write }} for a brace that is text", i+1)
		default:
			lit.WriteByte(c)
			i++
		}
	}
	flush()
	return parts, nil
}

// fieldEnd finds the brace that closes the field at start; an argument in parentheses may hold any character but ")".
func fieldEnd(src string, start int) int {
	paren := false
	for i := start + 1; i < len(src); i++ {
		switch src[i] {
		case '(':
			paren = true
		case ')':
			paren = false
		case '}':
			if !paren {
				return i
			}
		}
	}
	return -1
}

var nameForm = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_-]*(\.[\p{L}\p{N}_-]+)*$`)

func parseField(body string, at int) (part, error) {
	name, typ, _ := strings.Cut(body, ":")
	p := part{name: strings.TrimSpace(name), typ: strings.TrimSpace(typ), field: true, at: at}
	if open := strings.IndexByte(p.typ, '('); open >= 0 {
		if !strings.HasSuffix(p.typ, ")") {
			return part{}, fmt.Errorf("{%s} at character %d: the argument of the type must end with )", body, at+1)
		}
		p.typ, p.arg = p.typ[:open], p.typ[open+1:len(p.typ)-1]
	}
	if p.name != "" && !nameForm.MatchString(p.name) {
		return part{}, fmt.Errorf("{%s} at character %d: %q is not a name; write {name} or {name:type}, and {{ }} for "+
			"braces that are text", body, at+1, p.name)
	}
	return p, nil
}

// compilePattern makes a pattern that must fit the whole text. In a header (the key "line") fields are words, unless
// they are {time} or {message}.
func compilePattern(src string, header bool, times *times) (*pattern, error) {
	parts, err := parseParts(src)
	if err != nil {
		return nil, err
	}
	p := &pattern{source: src, lines: strings.Contains(src, "\n")}
	var re strings.Builder
	re.WriteString("^")
	if p.lines {
		re.WriteString("(?s)")
	}
	seen := map[string]bool{}
	for i, part := range parts {
		if !part.field {
			text := quoteBlanks(part.text)
			re.WriteString(text)
			p.steps = append(p.steps, step{part.text, text, len(strings.ReplaceAll(part.text, " ", ""))})
			continue
		}
		typ := part.typ
		if typ == "" {
			typ = "text"
			if header && part.name != "message" && part.name != "" {
				typ = "word"
			}
			if header && part.name == "time" {
				typ = "time"
			}
		}
		conv, err := newConverter(typ, part.arg, times)
		if err != nil {
			return nil, fmt.Errorf("{%s:%s} at character %d: %w", part.name, typ, part.at+1, err)
		}
		if part.name != "" && seen[part.name] {
			return nil, fmt.Errorf("{%s} stands in it twice; give the second another name", part.name)
		}
		seen[part.name] = true
		form := conv.form
		last := i == len(parts)-1
		if last && (strings.HasSuffix(form, "+?") || strings.HasSuffix(form, "*?")) {
			form = form[:len(form)-1] // the rest of the line
		}
		if part.name == "" && part.typ == "" || header && part.name == "message" {
			form = ".*?"
			if last {
				form = ".*"
			}
		}
		p.steps = append(p.steps, step{source: part.String(), form: "(?:" + form + ")"})
		if part.name == "" {
			re.WriteString("(?:" + form + ")")
			continue
		}
		re.WriteString("(" + form + ")")
		p.fields = append(p.fields, field{name: part.name, conv: conv})
	}
	re.WriteString("$")
	p.re, err = regexp.Compile(re.String())
	if err != nil {
		return nil, fmt.Errorf("internal fault: %w", err)
	}
	return p, nil
}

var blanks = regexp.MustCompile(`[ \t]+`)

func quoteBlanks(text string) string {
	var b strings.Builder
	at := 0
	for _, m := range blanks.FindAllStringIndex(text, -1) {
		b.WriteString(regexp.QuoteMeta(text[at:m[0]]))
		b.WriteString(`[ \t]+`)
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(text[at:]))
	return b.String()
}

// compileRegex makes a pattern of a regular expression with named groups.
func compileRegex(src string, types map[string]string, times *times) (*pattern, error) {
	re, err := regexp.Compile(src)
	if err != nil {
		return nil, explainRegex(src, err)
	}
	p := &pattern{source: src, re: re, lines: true}
	for i, name := range re.SubexpNames() {
		if i == 0 {
			continue
		}
		conv := textConverter
		if name != "" {
			if conv, err = typeOf(types, name, times); err != nil {
				return nil, err
			}
		}
		p.fields = append(p.fields, field{name: name, conv: conv})
	}
	return p, nil
}

func typeOf(types map[string]string, name string, times *times) (converter, error) {
	typ, ok := types[name]
	if !ok {
		return textConverter, nil
	}
	p, err := parseField(name+":"+typ, 0)
	if err != nil {
		return converter{}, err
	}
	conv, err := newConverter(p.typ, p.arg, times)
	if err != nil {
		return converter{}, fmt.Errorf("types: %s: %w", name, err)
	}
	return conv, nil
}

// match returns the texts of the fields, nil when the pattern does not fit.
func (p *pattern) match(text string) []string {
	if !p.lines {
		text, _, _ = strings.Cut(text, "\n")
	}
	m := p.re.FindStringSubmatchIndex(text)
	if m == nil {
		return nil
	}
	out := make([]string, len(p.fields))
	for i := range p.fields {
		if from := m[2*i+2]; from >= 0 {
			out[i] = text[from:m[2*i+3]]
		}
	}
	return out
}

// names lists the captures of the pattern.
func (p *pattern) names() []string {
	var out []string
	for _, f := range p.fields {
		if f.name != "" {
			out = append(out, f.name)
		}
	}
	return out
}
