package provenanceprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/glob"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// clockSkew is how far the clock of a file server may be from the task's host (ns).
const clockSkew = int64(2e9)

// claimer derives the claims of one event. It keeps nothing between events.
type claimer struct {
	site   string
	ignore []string
	values []ValueRule
}

func newClaimer(cfg *Config) *claimer {
	c := &claimer{site: cfg.Site, ignore: cfg.Ignore, values: cfg.Values}
	if c.site == "" {
		c.site = defaultSite()
	}
	return c
}

// claims appends the event's claims and the new ones to list, which is empty, each once, those that were there first.
func (c *claimer) claims(r *record, list []task.Claim) []task.Claim {
	e := r.event
	b := builder{claimer: c, record: r, list: append(list, e.Claims...), where: c.where(e)}
	b.side(task.Used, r.used)
	b.side(task.Generated, r.generated)
	if e.IsTask() && e.Kind == "mlflow" && e.Key != "" {
		// A run is a thing that others name by its id.
		if id, ok := entity.Canonical("run_id", e.Key, nil, b.where); ok {
			b.add(task.Generated, "", e.Key, id, nil)
		}
	}
	return b.list
}

// where is the place in which the event's task ran.
func (c *claimer) where(e *task.Event) entity.Where {
	w := entity.Where{Site: c.site}
	for i, dst := range [...]*string{&w.Site, &w.Host, &w.Cwd, &w.Container} {
		key := whereAttributes[i]
		if s, _ := e.Resource[key].(string); s != "" {
			*dst = s
		}
		if s, _ := e.Attributes[key].(string); s != "" {
			*dst = s
		}
	}
	return w
}

// whereAttributes say where a task ran: site, host, directory, container.
var whereAttributes = [...]string{task.AttrSite, "host.name", "process.working_directory", "container.id"}

type claimKey struct {
	role                    task.Role
	entity, evidence, field string
	time                    int64
}

func keyOf(c task.Claim) claimKey {
	return claimKey{c.Role, c.Entity, c.Evidence, c.Field, c.Time}
}

type builder struct {
	*claimer
	*record
	where entity.Where
	list  []task.Claim
	known map[claimKey]bool // of long lists
}

func (b *builder) side(role task.Role, values pcommon.Map) {
	if values.Len() == 0 {
		return
	}
	if b.event.Kind == "mlflow" {
		b.datasets(role, values.AsRaw(), 0)
	}
	walk(values, append(make([]byte, 0, 64), role...), 0, func(at []byte, value pcommon.Value) {
		text := value.Type() == pcommon.ValueTypeStr
		if !text && len(b.values) == 0 {
			return // only text names things, unless rules say otherwise
		}
		field := string(at)
		if glob.Any(b.ignore, field) {
			return
		}
		for _, r := range b.values {
			if glob.Any(r.Fields, field) {
				v := task.Normalize(value.AsRaw())
				if id, ok := entity.ByValue(r.Name, v); ok {
					b.add(role, field, labelOf(v), id, nil)
				}
			}
		}
		if !text {
			return
		}
		s := task.ValidText(value.Str())
		info := b.paths.find(s)
		if id, ok := entity.Canonical(field[len(role)+1:], s, info, b.where); ok {
			b.add(role, field, s, id, info)
		}
	})
}

// datasets finds what MLflow records as a data set: a map with a name and a digest.
func (b *builder) datasets(role task.Role, v any, depth int) {
	if depth > 8 {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		name, _ := v["name"].(string)
		digest, _ := v["digest"].(string)
		if id, ok := entity.Dataset(name, digest); ok {
			b.add(role, string(role)+".inputs", name, id, nil)
		}
		for _, e := range v {
			b.datasets(role, e, depth+1)
		}
	case []any:
		for _, e := range v {
			b.datasets(role, e, depth+1)
		}
	}
}

func (b *builder) add(role task.Role, field, label string, id entity.Entity, info *entity.PathInfo) {
	c := task.Claim{
		Role: role, Entity: id.ID, Evidence: string(id.Evidence), Confidence: id.Confidence, Field: field, Label: label,
	}
	if role == task.Generated && info != nil && b.writtenByTask(info.ModTime) {
		c.Time, c.TimeSource = info.ModTime, "mtime"
	}
	if !b.has(keyOf(c)) {
		b.list = append(b.list, c)
	}
}

// fewClaims is up to how many claims a list is looked through.
const fewClaims = 16

// has says whether a claim is there already, and notes that it will be.
func (b *builder) has(key claimKey) bool {
	if len(b.list) < fewClaims {
		for i := range b.list {
			if keyOf(b.list[i]) == key {
				return true
			}
		}
		return false
	}
	if b.known == nil {
		b.known = make(map[claimKey]bool, 2*fewClaims)
		for _, c := range b.list {
			b.known[keyOf(c)] = true
		}
	}
	known := b.known[key]
	b.known[key] = true
	return known
}

// writtenByTask says whether a file's modification time can be this task's doing: a file that was looked at late may have
// been rewritten since, and then its time is another task's. Without a time of its own a generation counts as of the
// task's end, and a use as of its start; both are filled in when links are derived, from what is known then.
func (b *builder) writtenByTask(mtime int64) bool {
	e := b.event
	return mtime != 0 && e.StartedAt != 0 && mtime >= e.StartedAt-clockSkew && (e.EndedAt == 0 || mtime <= e.EndedAt+clockSkew)
}

func labelOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return task.JSON(v)
}
