package propose

import (
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

// maker turns templates into rules.
type maker struct {
	list    []*template
	entries int
	spec    rules.Spec
	done    map[*template]bool
	taken   map[string]bool // names of rules
	acts    map[string]bool // activities
}

// pairShare is the part of the values of an end that must have begun somewhere.
const pairShare = 0.5

func (m *maker) make() {
	m.done, m.taken, m.acts = map[*template]bool{}, map[string]bool{}, map[string]bool{}
	m.runs()
	m.settings()
	byStart := slices.Clone(m.list)
	slices.SortStableFunc(byStart, func(a, b *template) int { return a.first - b.first })
	for _, t := range byStart {
		if !m.done[t] && t.role() == starts {
			m.pairs(t)
		}
	}
	for _, t := range byStart {
		if !m.done[t] {
			m.alone(t)
		}
	}
}

// runs finds where a run of the script begins and ends.
func (m *maker) runs() {
	begun := false
	for _, t := range m.list {
		if t.isRun() && t.role() == starts && 3*t.count <= m.entries {
			r := rules.Rule{Name: m.name("a run begins"), Match: t.pattern(), BeginsRun: true}
			if names := slotNames(t, nil); len(names) > 0 {
				r.Context = names
			}
			m.add(t, r)
			begun = true
		}
	}
	for _, t := range m.list {
		if begun && !m.done[t] && t.isRun() && t.role() == ends && 3*t.count <= m.entries {
			m.add(t, rules.Rule{Name: m.name("a run ends"), Match: t.loose(), EndsRun: true})
		}
	}
}

// settings finds what holds for all tasks to come.
func (m *maker) settings() {
	for _, t := range m.list {
		about := slices.ContainsFunc(t.words, func(w string) bool { return slices.Contains(settings, w) })
		if m.done[t] || len(t.slots) == 0 || !about || t.isLevel("debug", "trace") || t.role() > ends {
			continue
		}
		m.add(t, rules.Rule{Name: m.name("settings of what follows"), Match: t.pattern(), Context: slotNames(t, nil)})
	}
}

func (m *maker) add(t *template, r rules.Rule) {
	m.done[t] = true
	if t.slots != nil && r.Match == "" {
		r.Where = t.where()
	}
	m.spec.Rules = append(m.spec.Rules, r)
}

// name makes the name of a rule unique.
func (m *maker) name(text string) string {
	name := text
	for n := 2; m.taken[name]; n++ {
		name = text + " (" + string(rune('0'+n%10)) + ")"
	}
	m.taken[name] = true
	return name
}

func (m *maker) activity(words ...string) string {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if len(words) == 0 {
		words = []string{"task"}
	}
	for n := 1; n <= len(words); n++ {
		if a := strings.Join(words[:n], "_"); !m.acts[a] {
			m.acts[a] = true
			return a
		}
	}
	base := strings.Join(words, "_")
	for n := 2; ; n++ {
		a := base + "_" + string(rune('0'+n%10))
		if !m.acts[a] || n > 9 {
			m.acts[a] = true
			return a
		}
	}
}

// anonymous names say of a key only that it is one.
var anonymous = map[string]bool{"id": true, "key": true, "name": true, "number": true, "value": true, "index": true, "nr": true, "i": true, "n": true}

// pairs makes rules for tasks that begin with a template, and for all that ends them or tells more of them.
func (m *maker) pairs(start *template) {
	type end struct {
		t    *template
		keys [2]*slot
	}
	var found []end
	for _, t := range m.list {
		if m.done[t] || t == start || t.role() == starts || t.isLevel("debug", "trace") {
			continue
		}
		if a, b := sharedKey(start, t); a != nil {
			found = append(found, end{t, [2]*slot{a, b}})
		}
	}
	closes := func(e end) bool { return e.t.role() >= ends }
	if !slices.ContainsFunc(found, closes) {
		found = nil
		for _, t := range m.list {
			if !m.done[t] && t.role() >= ends && len(t.subject()) > 0 && sameSubject(start, t) {
				found = append(found, end{t: t})
			}
		}
	}
	if !slices.ContainsFunc(found, closes) {
		return
	}
	key := (*slot)(nil)
	for _, e := range found {
		if closes(e) {
			key = e.keys[0]
			break
		}
	}
	words := start.subject()
	if key != nil && !anonymous[key.name] {
		words = append([]string{key.name}, words...)
	}
	activity := m.activity(words...)
	what := strings.ReplaceAll(activity, "_", " ")
	r := rules.Rule{Name: m.name(what + " starts"), Match: start.pattern(), Starts: activity}
	if names := slotNames(start, nil); len(names) > 0 {
		r.Used = names
	}
	if key != nil {
		r.Task = "{" + key.name + "}"
	}
	m.add(start, r)
	for _, e := range found {
		if key != nil && e.keys[0] != key {
			continue
		}
		m.follows(e.t, e.keys[1], activity, what)
	}
}

// follows makes the rule of a template that speaks of a task that another one began.
func (m *maker) follows(t *template, key *slot, activity, what string) {
	r := rules.Rule{Match: t.pattern()}
	if key != nil {
		key = &slot{at: key.at, name: key.name}
		r.Task = "{" + key.name + "}"
	}
	if t.role() == fails {
		t.reason(key, &r)
	}
	used, generated := t.sides(key)
	switch t.role() {
	case fails:
		r.Name, r.Fails = m.name(what+" fails"), activity
	case cancels:
		r.Name, r.Cancels = m.name(what+" is cancelled"), activity
	case ends:
		r.Name, r.Ends = m.name(what+" ends"), activity
	default:
		r.Name, r.Updates = m.name("more of "+what), activity
	}
	if len(used) > 0 {
		r.Used = used
	}
	if len(generated) > 0 {
		r.Generated = generated
	}
	m.add(t, r)
}

// reasons are fields that say why something failed.
var reasons = []string{"reason", "error", "exception", "cause"}

// reason finds why a task failed: what stands behind the last colon or comma, whatever it is, or a field of that name.
func (t *template) reason(key *slot, r *rules.Rule) {
	at, verb := -1, false
	for i, p := range t.pieces {
		switch {
		case p.kind == word && isVerb(p.text):
			verb = true
		case verb && (p.text == ":" || p.text == ",") && i+1 < len(t.pieces) && (key == nil || key.at < i):
			if at < 0 {
				at = i
			}
		}
	}
	if at >= 0 {
		t.pieces = append(slices.Clone(t.pieces[:at+1]), piece{text: " "}, piece{kind: quote})
		t.slots = slices.DeleteFunc(t.slots, func(s slot) bool { return s.at > at })
		t.slots = append(t.slots, slot{at: at + 2, name: "reason"})
		r.Match, r.Error = t.pattern(), "{reason}"
	}
	for _, name := range reasons {
		if s := t.slotNamed(name); s != nil && r.Error == "" {
			r.Error = "{" + name + "}"
		}
	}
	t.slots = slices.DeleteFunc(t.slots, func(s slot) bool { return r.Error == "{"+s.name+"}" })
}

// alone makes a rule for a template that no other goes with: the line is the whole task, or not about one.
func (m *maker) alone(t *template) {
	keyed := slices.ContainsFunc(t.slots, func(s slot) bool { return s.fromJS || t.pieces[s.at].key != "" || s.typ == "path" })
	quiet := t.isLevel("debug", "trace", "warn", "warning") || t.role() == fails
	if quiet || len(t.slots) == 0 || !keyed && t.count < 2 {
		m.done[t] = true
		if p := t.loose(); strings.Trim(p, "{} ") != "" {
			m.spec.Ignore = append(m.spec.Ignore, p)
		}
		return
	}
	key := t.ownKey()
	words := t.subject()
	if key != nil && !anonymous[key.name] {
		words = append([]string{key.name}, words...)
	}
	if len(words) == 0 {
		for _, w := range t.words {
			if !stop[w] {
				words = append(words, w)
			}
		}
	}
	activity := m.activity(words...)
	r := rules.Rule{Name: m.name(strings.ReplaceAll(activity, "_", " ")), Match: t.pattern(), WholeTask: activity}
	used, generated := t.sides(key)
	if key != nil {
		r.Task = "{" + key.name + "}"
		used = append([]any{key.name}, used...)
	}
	if len(used) > 0 {
		r.Used = used
	}
	if len(generated) > 0 {
		r.Generated = generated
	}
	if s := t.slotNamed("took"); s != nil && s.typ == "duration" {
		r.Took = "{took}"
	}
	m.add(t, r)
}

// sides divides the slots, but the key, into what was used and what was generated.
func (t *template) sides(key *slot) (used, generated []any) {
	for i := range t.slots {
		s := &t.slots[i]
		switch {
		case key != nil && s.name == key.name || s.name == "took":
		case t.isUsed(s):
			used = append(used, s.name)
		default:
			generated = append(generated, s.name)
		}
	}
	return used, generated
}

func slotNames(t *template, key *slot) []any {
	var out []any
	for i := range t.slots {
		if s := &t.slots[i]; s != key {
			out = append(out, s.name)
		}
	}
	return out
}

// sharedKey finds a value that tells tasks apart in both templates.
func sharedKey(start, end *template) (a, b *slot) {
	for i := range start.slots {
		s := &start.slots[i]
		if s.typ != "int" && s.typ != "word" && s.typ != "" && s.typ != "path" {
			continue
		}
		for k := range end.slots {
			e := &end.slots[k]
			if (s.name == e.name || s.typ == "path" && e.typ == "path") && overlap(s, e) >= pairShare {
				return s, e
			}
		}
	}
	return nil, nil
}

func overlap(s, e *slot) float64 {
	there, n := s.distinct(), 0
	for _, v := range e.values {
		if there[v] {
			n++
		}
	}
	return float64(n) / float64(len(e.values))
}

func sameSubject(a, b *template) bool {
	x, y := a.subject(), b.subject()
	shared := 0
	for _, w := range y {
		if slices.Contains(x, w) {
			shared++
		}
	}
	return shared > 0 && (shared == len(x) || shared == len(y))
}

// ownKey is the first value that differs nearly always.
func (t *template) ownKey() *slot {
	for i := range t.slots {
		s := &t.slots[i]
		whole := s.typ == "int" || s.typ == "word" || s.fromJS && !strings.Contains(s.values[0], ".")
		if whole && !strings.HasPrefix(s.name, "value") && t.count > 1 && 10*len(s.distinct()) >= 9*t.count {
			return s
		}
	}
	return nil
}
