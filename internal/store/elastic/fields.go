package elastic

import (
	"context"
	"net/http"
	"sort"
	"strings"
	"sync"

	"go.uber.org/zap"
)

// fields knows which leaves are fields of the index. The index's own mapping is the truth, for all collectors: a field
// is added to it before the first document that has it, as long as the budget in the mapping's _meta allows; what is over
// it stays in the documents, and is not indexed.
type fields struct {
	mu    sync.RWMutex
	known map[string]bool // by fieldOf; false = over the budget
	vague bool            // the index says which values are vague

	adding sync.Mutex // one addition at a time
}

func (f *fields) load(ctx context.Context, s *Store) error {
	m, err := s.mapping(ctx, tasks)
	if err != nil {
		return err
	}
	f.learn(m)
	return nil
}

// learn takes over the fields of a mapping, and counts them.
func (f *fields) learn(m indexMapping) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = map[string]bool{}
	}
	f.vague = m.Meta.MadeVersion >= versionOfVague
	for _, root := range indexedRoots {
		for name := range m.Properties[root].Properties {
			f.known[root+"."+name] = true
			n++
		}
	}
	return n
}

// has says whether a field is indexed.
func (f *fields) has(field string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.known[field]
}

// tellsVague says whether the index says which values are vague.
func (f *fields) tellsVague() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.vague
}

// unknown returns those of the names that nobody has decided about.
func (f *fields) unknown(names map[string]bool) []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var out []string
	for n := range names {
		if _, known := f.known[n]; !known {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}

// admit decides about fields that are new.
func (f *fields) admit(ctx context.Context, s *Store, names map[string]bool) error {
	if len(f.unknown(names)) == 0 {
		return nil
	}
	f.adding.Lock()
	defer f.adding.Unlock()
	m, err := s.mapping(ctx, tasks)
	if err != nil {
		return err
	}
	used := f.learn(m)
	wanted := f.unknown(names)
	room := max(0, min(len(wanted), m.Meta.FieldBudget-used))
	added, over := wanted[:room], wanted[room:]
	if room > 0 {
		err := s.client.do(ctx, request{method: http.MethodPut, path: "/" + s.index(tasks) + "/_mapping", body: additions(added)}, nil)
		switch {
		case isStatus(err, http.StatusBadRequest):
			// Another collector took the room, or the server has a narrower limit of its own.
			s.log.Warn("The server takes no more fields; what comes is kept without being indexed.", zap.Error(err))
			added, over = nil, wanted
		case err != nil:
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range added {
		f.known[n] = true
	}
	for _, n := range over {
		f.known[n] = false
	}
	if len(over) > 0 {
		s.log.Warn("The field budget of the index is used up. These leaves are kept, and found more slowly.",
			zap.Int("budget", m.Meta.FieldBudget), zap.Int("fields", len(over)), zap.String("first", over[0]))
	}
	return nil
}

func additions(names []string) object {
	byRoot := map[string]object{}
	roots := object{}
	for _, n := range names {
		root, name, _ := strings.Cut(n, ".")
		if byRoot[root] == nil {
			byRoot[root] = object{}
			roots[root] = object{"dynamic": false, "properties": byRoot[root]}
		}
		byRoot[root][name] = leafMapping
	}
	return object{"properties": roots}
}
