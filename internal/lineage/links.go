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
	Doubt       string // why the confidence was lowered: "running", "overlap", "contradiction", "unknown time", ""
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
	running bool // no time known, and the task has not ended
}

// Links derives the links of one entity from claims on it. Uses are linked only for the tasks in of, or for all if nil;
// the generations must be complete. A task that names the same entity as used and as generated named its output: that
// is no use. There are no links from a task to itself.
func Links(claims []store.TaskClaim, facts map[string]store.TaskFacts, of map[string]bool) []Link {
	generations, makers := generationsOf(claims, facts)
	if len(generations) == 0 {
		return nil
	}
	best := map[string]Link{}
	for _, use := range usesOf(claims) {
		if of != nil && !of[use.TaskID] || makers[use.TaskID] {
			continue
		}
		for _, l := range linksOfUse(use, generations, facts) {
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
		return a.Entity < b.Entity
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
		g := generation{claim: c, at: c.Time}
		if g.at == 0 {
			f := facts[c.TaskID]
			g.at = f.EndedAt
			g.running = g.at == 0 && !f.Status.Ended()
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

// linksOfUse finds the generation that a use means: the newest that is not later than the use. Generations at the very
// same time are all meant.
func linksOfUse(use store.TaskClaim, generations []generation, facts map[string]store.TaskFacts) []Link {
	consumer := facts[use.TaskID]
	at := use.Time
	if at == 0 {
		at = consumer.StartedAt
	}
	known := at != 0
	var newest, later, running []generation
	for _, g := range generations {
		switch {
		case g.claim.TaskID == use.TaskID:
		case g.running:
			running = append(running, g)
		case g.at == 0:
			// Ended, nobody knows when: as good as a generation at the beginning of time.
			newest = latest(newest, g)
		case !known || g.at <= at:
			newest = latest(newest, g)
		default:
			later = append(later, g)
		}
	}
	if newest == nil && known {
		// Clocks may disagree by a little: the first generation within the skew.
		newest = first(later, func(g generation) bool { return g.at <= at+Skew })
	}
	var links []Link
	add := func(list []generation, factor float64, doubt string) {
		for _, g := range list {
			links = append(links, newLink(use, g, at, factor, doubt))
		}
	}
	switch {
	case newest != nil && known:
		add(newest, 1, "")
	case newest != nil:
		add(newest, unknownTimeFactor, "unknown time")
	case timeless(use.Evidence) && len(later) > 0:
		add(first(later, func(generation) bool { return true }), contradictionFactor, "contradiction")
	default:
		overlapping := first(later, func(g generation) bool {
			return !consumer.Status.Ended() || consumer.EndedAt == 0 || g.at <= consumer.EndedAt
		})
		if overlapping != nil {
			add(overlapping, overlapFactor, "overlap")
		} else {
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
