// Package lineage derives links between tasks from claims and declared edges, and walks them. A link is never stored: it
// is a pure function of all claims on one entity and of what is known about their tasks, so that any order of arrival,
// any number of collectors and late producers lead to the same links.
package lineage

import (
	"sort"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Declared is the evidence of links that a tool declared.
const Declared = "declared"

// Skew is how far clocks of different machines may disagree (ns) before a use counts as earlier than a generation.
const Skew = int64(2e9)

// How much a doubt takes from a link's confidence.
const (
	skewFactor          = 0.8 // generated a little after the use, rather than an older version
	runningFactor       = 0.5 // the producer still runs and nobody saw it write
	overlapFactor       = 0.4 // generated after the consumer started, while it ran
	contradictionFactor = 0.5 // used before it was generated, by the clocks
	unknownTimeFactor   = 0.7 // nobody knows when it was used
)

// Link leads from the task that generated an entity to a task that used it.
type Link struct {
	From, To    string // ids of the producer and the consumer
	Entity      string
	Evidence    string // the weaker of both claims' evidence
	Confidence  float64
	GeneratedAt int64  // unix ns, 0 = unknown
	UsedAt      int64  // unix ns, 0 = unknown
	Field       string // the consumer's leaf that names the entity
	Doubt       string // why the confidence was lowered: "skew", "running", "overlap", "contradiction", "unknown time", ""
}

// timeless says whether a kind of evidence holds whatever the clocks say.
func timeless(evidence string) bool {
	switch evidence {
	case Declared, "digest", "person":
		return true
	}
	return false
}

// generation is the best knowledge of when one task generated an entity.
type generation struct {
	claim   store.TaskClaim
	at      int64
	started int64 // when its task began; nothing of it is older
	running bool  // no time known, and the task has not ended
}

// namesOutput says whether a use may be nothing but the name of an output: the task generated the entity too, and nobody
// saw it read (docs/adr/008).
func namesOutput(use store.TaskClaim, generated bool) bool {
	return generated && use.Evidence != "io" && !timeless(use.Evidence)
}

// Links derives the links of one entity from claims on it. Uses are linked only for the tasks in of, or for all if nil;
// the generations must be complete. There are no links from a task to itself.
func Links(claims []store.TaskClaim, facts map[string]store.TaskFacts, of map[string]bool) []Link {
	generations, makers := generationsOf(claims, facts)
	if len(generations) == 0 {
		return nil
	}
	best := map[string]Link{}
	for _, use := range usesOf(claims) {
		made := makers[use.TaskID]
		if of != nil && !of[use.TaskID] || namesOutput(use, made) {
			continue
		}
		for _, l := range linksOfUse(use, made, generations, facts) {
			key := l.From + l.To
			if old, ok := best[key]; !ok || better(l, old) {
				best[key] = l
			}
		}
	}
	links := make([]Link, 0, len(best))
	for _, l := range best {
		links = append(links, l)
	}
	sortLinks(links)
	return links
}

func better(a, b Link) bool {
	if a.Confidence != b.Confidence {
		return a.Confidence > b.Confidence
	}
	if a.GeneratedAt != b.GeneratedAt {
		return a.GeneratedAt > b.GeneratedAt
	}
	if a.UsedAt != b.UsedAt {
		return a.UsedAt < b.UsedAt
	}
	if a.Evidence != b.Evidence {
		return a.Evidence < b.Evidence
	}
	return a.Field+a.Doubt < b.Field+b.Doubt
}

func sortLinks(links []Link) {
	sort.Slice(links, func(i, j int) bool {
		a, b := links[i], links[j]
		if a.To != b.To {
			return a.To < b.To
		}
		if a.From != b.From {
			return a.From < b.From
		}
		if a.Entity != b.Entity {
			return a.Entity < b.Entity
		}
		if a.Evidence != b.Evidence {
			return a.Evidence < b.Evidence
		}
		return a.Field < b.Field
	})
}

// generationsOf returns all generations, each with its time, in the order of time and task; several claims of one task
// with different times are generations of their own (a file written twice).
func generationsOf(claims []store.TaskClaim, facts map[string]store.TaskFacts) ([]generation, map[string]bool) {
	makers := map[string]bool{}
	var list []generation
	timed := map[string]bool{} // tasks with a generation whose time was seen
	for _, c := range claims {
		if c.Role == task.Generated {
			makers[c.TaskID] = true
			if c.Time != 0 {
				timed[c.TaskID] = true
			}
		}
	}
	for _, c := range claims {
		if c.Role != task.Generated || c.Time == 0 && timed[c.TaskID] {
			continue
		}
		f := facts[c.TaskID]
		g := generation{claim: c, at: c.Time, started: f.StartedAt}
		if g.at == 0 {
			g.at = f.EndedAt
			g.running = g.at == 0 && !f.Status.Ended()
			if g.at == 0 && !g.running {
				g.at = f.StartedAt // ended, nobody knows when
			}
		}
		list = append(list, g)
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].at != list[j].at {
			return list[i].at < list[j].at
		}
		return list[i].claim.TaskID < list[j].claim.TaskID
	})
	return list, makers
}

func usesOf(claims []store.TaskClaim) []store.TaskClaim {
	var uses []store.TaskClaim
	for _, c := range claims {
		if c.Role == task.Used {
			uses = append(uses, c)
		}
	}
	return uses
}

// reader is a task that used an entity.
type reader struct {
	store.TaskFacts
	at int64 // of the use; 0 = unknown
}

// ranAt says whether the task may still have run at a time that is not before its use.
func (r reader) ranAt(t int64) bool {
	return !r.Status.Ended() || r.EndedAt == 0 || t <= r.EndedAt
}

// tooEarlyFor says that the task was over before one that still runs had begun.
func (r reader) tooEarlyFor(g generation) bool {
	return g.running && g.started > r.at+Skew && !r.ranAt(g.started)
}

// mayHave says whether a generation is not later than the use, by clocks that may disagree a little. What is written by a
// task that began after the use is the next version, not one whose clock is ahead (docs/adr/007).
func (r reader) mayHave(g generation) bool {
	if r.at == 0 {
		return r.ranAt(g.at)
	}
	return g.at <= r.at || g.at <= r.at+Skew && g.started < r.at && r.ranAt(g.at)
}

// linksOfUse finds the generation that a use means: the newest that it may have seen. Generations at the very same time
// are all meant. made says that the task also generated the entity; then only what others generated before counts.
func linksOfUse(use store.TaskClaim, made bool, generations []generation, facts map[string]store.TaskFacts) []Link {
	r := reader{facts[use.TaskID], use.Time}
	if r.at == 0 {
		r.at = r.StartedAt
	}
	var newest, later, running, beyond []generation
	choices := 0
	for _, g := range generations {
		switch {
		case g.claim.TaskID == use.TaskID, made && (g.at == 0 || g.at > r.at):
		case r.tooEarlyFor(g):
			beyond = append(beyond, g)
		case g.running:
			running = append(running, g)
		case g.at == 0, r.mayHave(g):
			// Without any time it is as good as a generation at the beginning of time.
			if newest = latest(newest, g); len(newest) == 1 {
				choices++
			}
		default:
			later = append(later, g)
		}
	}
	if newest == nil && r.at != 0 {
		newest = first(later, func(g generation) bool { return g.at <= r.at+Skew })
	}
	var links []Link
	add := func(list []generation, factor float64, doubt string) {
		for _, g := range list {
			links = append(links, newLink(use, g, r.at, factor, doubt))
		}
	}
	switch {
	case newest != nil && r.at == 0:
		add(newest, unknownTimeFactor, "unknown time")
	case newest != nil && newest[0].at > r.at && choices > 1:
		add(newest, skewFactor, "skew")
	case newest != nil:
		add(newest, 1, "")
	case timeless(use.Evidence) && len(later) > 0:
		add(first(later, func(generation) bool { return true }), contradictionFactor, "contradiction")
	default:
		overlapping := first(later, func(g generation) bool { return r.ranAt(g.at) })
		switch {
		case overlapping != nil:
			add(overlapping, overlapFactor, "overlap")
		case running == nil && timeless(use.Evidence):
			add(beyond, contradictionFactor, "contradiction")
		default:
			add(running, runningFactor, "running")
		}
	}
	return links
}

// latest keeps the generations with the highest time; they come in rising order.
func latest(list []generation, g generation) []generation {
	if len(list) > 0 && list[0].at == g.at {
		return append(list, g)
	}
	return []generation{g}
}

// first returns the earliest generations that fit, all of one time.
func first(list []generation, fits func(generation) bool) []generation {
	for i, g := range list {
		if !fits(g) {
			continue
		}
		j := i
		for j < len(list) && list[j].at == g.at {
			j++
		}
		return list[i:j]
	}
	return nil
}

func newLink(use store.TaskClaim, g generation, usedAt int64, factor float64, doubt string) Link {
	l := Link{
		From: g.claim.TaskID, To: use.TaskID, Entity: use.Entity, Field: use.Field,
		Evidence: use.Evidence, Confidence: use.Confidence,
		GeneratedAt: g.at, UsedAt: usedAt, Doubt: doubt,
	}
	if g.claim.Confidence < l.Confidence {
		l.Evidence, l.Confidence = g.claim.Evidence, g.claim.Confidence
	}
	l.Confidence *= factor
	return l
}
