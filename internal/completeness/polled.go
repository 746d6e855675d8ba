package completeness

import (
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// polled compares what observers that read files found there with what became of it.
func polled(list []store.Checkpoint) (out []Witness) {
	for _, c := range list {
		witness := section(c.Record, "witness")
		logs, _ := witness["logs"].([]any)
		for _, v := range logs {
			m, _ := v.(map[string]any)
			out = append(out, logWitnesses(c, m)...)
		}
	}
	return out
}

// logWitnesses compares a log with what was read of it, and its entries with those that its rules are for.
func logWitnesses(c store.Checkpoint, m map[string]any) []Witness {
	path := text(m["path"])
	if n := number(m["logs"]); n > 0 {
		path = fmt.Sprintf("%d more logs", n)
	}
	bytes := Witness{What: "bytes of the log, against bytes read", Of: path, Expected: number(m["size"]), Found: number(m["read"]), State: Complete}
	if bytes.Found < bytes.Expected {
		bytes.State = Unknown
		if c.Final {
			bytes.State = Missing
			bytes.Detail = "the observer ended before it had read them; it reads them when it is started again"
		}
	}
	unmatched, unusable := number(m["unmatched"]), number(m["unusable"])
	entries := Witness{
		What: "entries of the log, against entries that a rule is for or that are ignored", Of: path, State: Complete,
		Expected: number(m["entries"]), Found: number(m["entries"]) - unmatched - unusable,
	}
	if unmatched+unusable > 0 {
		entries.State = Missing
		var why []string
		if unmatched > 0 {
			why = append(why, fmt.Sprintf("no rule is for %d (the first at byte %d); list under ignore what is not about tasks",
				unmatched, number(m["first_unmatched"])))
		}
		if unusable > 0 {
			why = append(why, fmt.Sprintf("%d do not hold what their rule says (the first at byte %d, rule %q)",
				unusable, number(m["first_unusable"]), text(m["unusable_rule"])))
		}
		entries.Detail = listed(why)
	}
	return []Witness{bytes, entries}
}
