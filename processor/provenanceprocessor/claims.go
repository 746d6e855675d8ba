package provenanceprocessor

import (
	"strings"

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

// claims returns the event's claims and the new ones, each once, those that were there first.
func (c *claimer) claims(e *task.Event) []task.Claim {
	b := builder{claimer: c, event: e, list: e.Claims, known: make(map[claimKey]bool, len(e.Claims)), where: c.where(e)}
	for _, old := range e.Claims {
		b.known[keyOf(old)] = true
	}
	b.side(task.Used, e.Used)
	b.side(task.Generated, e.Generated)
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
	event *task.Event
	where entity.Where
	list  []task.Claim
	known map[claimKey]bool
}

func (b *builder) side(role task.Role, values map[string]any) {
	if len(values) == 0 {
		return
	}
	b.datasets(role, values, 0)
	entity.Walk(values, func(keys []string, value any) {
		s, text := value.(string)
		if !text && len(b.values) == 0 {
			return // only text names things, unless rules say otherwise
		}
		name := strings.Join(keys, ".")
		field := string(role) + "." + name
		if glob.Any(b.ignore, field) {
			return
		}
		for _, r := range b.values {
			if glob.Any(r.Fields, field) {
				if id, ok := entity.ByValue(r.Name, value); ok {
					b.add(role, field, labelOf(value), id, nil)
				}
			}
		}
		if !text {
			return
		}
		var info *entity.PathInfo
		if p, ok := b.event.Paths[s]; ok {
			info = &entity.PathInfo{Real: p.Real, FS: p.FS, Rel: p.Rel, ModTime: p.ModTime, Size: p.Size}
		}
		if id, ok := entity.Canonical(name, s, info, b.where); ok {
			b.add(role, field, s, id, info)
		}
	})
}

// datasets finds what MLflow records as a data set: a map with a name and a digest.
func (b *builder) datasets(role task.Role, v any, depth int) {
	if depth > 8 || b.event.Kind != "mlflow" {
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
	if key := keyOf(c); !b.known[key] {
		b.known[key] = true
		b.list = append(b.list, c)
	}
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
