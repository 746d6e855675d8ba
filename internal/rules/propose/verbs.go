package propose

import (
	"slices"
	"strings"
)

// role is what a template says of a task, as far as its words tell.
type role int

const (
	tells role = iota
	starts
	ends
	fails
	cancels
)

var verbs = []struct {
	role  role
	stems []string // a word that begins with one, unless the stem ends with a point: then it is that word
}{
	{cancels, []string{"cancel", "skipp", "killed.", "interrupt"}},
	{fails, []string{"fail", "abort", "crash", "exception.", "error.", "errored.", "timeout.", "unable.", "rejected.", "diverged."}},
	{ends, []string{
		"done.", "finish", "complet", "ended.", "ends.", "end.", "saved.", "saves.", "wrote.", "written.", "stored.", "exported.", "succe",
		"converged.", "stopped.", "closed.", "uploaded.", "produced.", "ready.",
	}},
	{starts, []string{
		"start.", "starts.", "started.", "starting.", "begin", "began.", "launch", "running.", "run.", "processing.", "submitted.", "entering.",
		"opening.", "loading.", "training.", "computing.", "simulating.", "acquiring.",
	}},
}

// reads are words before what a task used.
var reads = []string{"read", "load", "using", "input", "from", "with", "open"}

// givens are names of what a task is given, as a rule.
var givens = []string{
	"input", "data", "source", "config", "param", "seed", "lr.", "learning_rate", "batch", "layer", "hidden", "optim", "sample", "epochs.", "steps.",
	"temperature", "model_in",
}

// nouns of a whole run of a script.
var runNouns = []string{"run", "session", "script", "program", "pipeline", "workflow", "campaign", "application", "experiment"}

// settings are words of lines that hold for all tasks to come.
var settings = []string{
	"config", "configuration", "parameter", "parameters", "params", "settings", "options", "arguments", "args", "hyperparameters",
}

// stop are words that name nothing.
var stop = map[string]bool{
	"a": true, "an": true, "the": true, "of": true, "at": true, "to": true, "in": true, "on": true, "is": true, "was": true, "with": true, "for": true,
	"after": true, "and": true, "by": true, "from": true, "has": true, "had": true, "no": true, "nr": true, "as": true, "into": true, "now": true,
	"not": true, "it": true, "all": true,
}

func stemmed(word string, stems []string) bool {
	word = strings.ToLower(word)
	return slices.ContainsFunc(stems, func(stem string) bool {
		whole, exact := strings.CutSuffix(stem, ".")
		return exact && word == whole || !exact && strings.HasPrefix(word, stem)
	})
}

func isVerb(word string) bool {
	return slices.ContainsFunc(verbs, func(v struct {
		role  role
		stems []string
	}) bool {
		return stemmed(word, v.stems)
	})
}

// role of a template: what went wrong counts most, then what ended.
func (t *template) role() role {
	if t.isLevel("error", "err", "critical", "crit", "fatal", "severe") {
		return fails
	}
	words := t.words
	if t.isRun() { // its noun may look like a verb
		words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "run" })
	}
	for _, v := range verbs {
		if slices.ContainsFunc(words, func(w string) bool { return stemmed(w, v.stems) }) {
			return v.role
		}
	}
	return tells
}

// isRun says that the template speaks of the whole run: "run begins", "pipeline started".
func (t *template) isRun() bool {
	for i, w := range t.words {
		if !slices.Contains(runNouns, w) {
			continue
		}
		for _, next := range []int{i - 1, i + 1} {
			if next >= 0 && next < len(t.words) && t.words[next] != "run" && isVerb(t.words[next]) {
				return true
			}
		}
	}
	return false
}

// onlyVerbs name nothing, whatever stands beside them.
var onlyVerbs = []string{"starting", "beginning", "running", "launching", "entering", "finishing"}

// subject is what the template is about: its words without verbs and without those that name nothing.
func (t *template) subject() []string {
	verbs := 0
	for _, w := range t.words {
		if isVerb(w) {
			verbs++
		}
	}
	var out []string
	for _, w := range t.words {
		// "training finished" is about the training, "training on 3 files" about nothing.
		named := !isVerb(w) || verbs > 1 && strings.HasSuffix(w, "ing") && !slices.Contains(onlyVerbs, w)
		if len(w) > 1 && named && !stop[w] && !slices.Contains(out, w) && t.slotNamed(w) == nil {
			out = append(out, w)
		}
	}
	return out
}

// isUsed says that a slot is what the task was given: by its name, by the word before it, or because it is the same file
// each time.
func (t *template) isUsed(s *slot) bool {
	if stemmed(s.name, givens) || s.typ == "path" && t.count >= namesMake && len(s.distinct()) == 1 {
		return true
	}
	for i := s.at - 1; i >= 0 && !s.fromJS; i-- {
		if p := t.pieces[i]; p.kind == word {
			return stemmed(p.text, reads)
		}
	}
	return false
}
