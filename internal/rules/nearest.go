package rules

import (
	"fmt"
	"regexp"
	"strings"
)

// enough is how many characters of text must fit for a rule to come close at all.
const enough = 4

// Nearest says of a record that no rule takes which one comes closest, and what keeps it away; "" when none does.
func (e *Engine) Nearest(rec Record) string {
	head, message, _ := e.read(rec)
	if head == nil {
		return ""
	}
	best, nearest := enough-1, ""
	for _, r := range e.set.rules {
		if r.pattern == nil || r.pattern.steps == nil {
			continue
		}
		if why := r.refuses(head); why != "" && r.pattern.match(message) != nil {
			return fmt.Sprintf("%q fits, but where asks for %s", r.name, why)
		}
		if weight, why := r.pattern.near(message); weight > best {
			best, nearest = weight, fmt.Sprintf("%q %s", r.name, why)
		}
	}
	return nearest
}

// refuses names the condition that a record does not meet.
func (r *rule) refuses(head map[string]any) string {
	for _, c := range r.where {
		if !c.met(head) {
			v, _ := lookup(head, c.name)
			return fmt.Sprintf("%s: %s, and it is %q", c.name, c.text, clip(asText(v)))
		}
	}
	return ""
}

// step is one part of a pattern: its source for people, its regular expression, and how much it says when it fits.
type step struct {
	source, form string
	weight       int
}

// near finds how much of a pattern fits the beginning of a text, and what it would want next.
func (p *pattern) near(text string) (weight int, why string) {
	if !p.lines {
		text, _, _ = strings.Cut(text, "\n")
	}
	fits, end := 0, 0
	form := "^"
	for i, s := range p.steps {
		form += s.form
		re, err := regexp.Compile(form)
		if err != nil {
			return 0, ""
		}
		m := re.FindStringIndex(text)
		if m == nil {
			break
		}
		fits, end = i+1, m[1]
		weight += s.weight
	}
	if fits == len(p.steps) {
		return weight, fmt.Sprintf("fits up to %q, and wants the line to end before %q; {} stands for what does not matter",
			clipStart(text[:end]), clip(text[end:]))
	}
	found := "the line ends"
	if end < len(text) {
		found = fmt.Sprintf("%q is there", clip(text[end:]))
	}
	return weight, fmt.Sprintf("fits up to %q, then wants %q where %s", clipStart(text[:end]), p.steps[fits].source, found)
}

// clipStart keeps the end of a text.
func clipStart(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return "…" + string(r[len(r)-most:])
	}
	return s
}
