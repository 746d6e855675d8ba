package elastic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Scan implements store.Reader. The server sends the fields that the scan looks at, and whole tasks only where these do not
// tell what a row shows: the shape of a list or of a map, and what is in the state alone.
func (s *Store) Scan(ctx context.Context, sc *query.Scan, each func(row []any) error) (matching int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	q := sc.Query()
	c := &compiler{}
	if asksEnvironment(q) {
		if c.environments, err = s.allEnvironments(ctx); err != nil {
			return 0, err
		}
	}
	p, err := s.snapshot(ctx, tasks)
	if err != nil {
		return 0, err
	}
	defer p.close()
	x := &scanner{
		reader: &reader{snapshot: p, q: q, compiler: c, where: c.filter(sc.Filter)}, scan: sc, each: each,
		row: make([]any, len(sc.Fields)), matches: sc.Matcher(),
	}
	return x.run(ctx)
}

// scanner answers one scan in one snapshot.
type scanner struct {
	*reader
	scan    *query.Scan
	each    func(row []any) error
	row     []any
	matches func(doc map[string]any) bool

	doubts   *query.Stream // finds ambiguous fields, where there are some
	flat     *flat         // nil = whole tasks are read
	maps     map[string]bool
	waiting  []scanned
	matching int64
	given    int
	count    int64 // of all tasks that match, where the server knows it; else -1
}

// scanned is a task that waits for those that must be read whole.
type scanned struct {
	id   string
	doc  map[string]any            // nil = read it
	maps map[string]map[string]any // the leaves of the maps that are asked for, where doc does not have them
}

// errEnough ends the walk over tasks once the wanted ones were given and all are counted.
var errEnough = errors.New("errEnough")

func (x *scanner) run(ctx context.Context) (int64, error) {
	var source any = documentSource
	page := smallPage
	whole, err := x.readsWhole(ctx)
	if err != nil {
		return 0, err
	}
	if whole {
		if x.doubts, err = query.NewStream(x.q); err != nil {
			return 0, err
		}
	} else {
		if err := x.choose(ctx); err != nil {
			return 0, err
		}
		source, page = x.flat.asked(), largePage
	}
	if err := x.counted(ctx); err != nil {
		return 0, err
	}
	walk := x.stream
	if x.scan.First > 0 { // those with the lowest ids
		walk = x.snapshot.each
	}
	err = walk(ctx, x.where.upper, source, page, func(h hit) error {
		w, err := x.take(h)
		if err != nil {
			return err
		}
		if x.waiting = append(x.waiting, w); len(x.waiting) == chunk {
			return x.flush(ctx)
		}
		return nil
	})
	if err == nil {
		err = x.flush(ctx)
	}
	if errors.Is(err, errEnough) {
		return x.count, nil
	}
	if err == nil && x.doubts != nil {
		_, err = x.doubts.Answer()
	}
	return x.matching, err
}

// readsWhole says whether whole tasks must be read: for the filter, or for a field that is in the state only.
func (x *scanner) readsWhole(ctx context.Context) (bool, error) {
	for _, f := range x.scan.Fields {
		indexed := f.Root == "environment" || isIndexed(f.Root) || f.Type != query.Dynamic && f.Type != query.Object
		if !indexed || f.Root == "stdout" || f.Root == "stderr" || len(f.Name) >= maxTerm {
			return true, nil
		}
	}
	return x.wantsWhole(ctx)
}

// choose finds out which fields the server must send.
func (x *scanner) choose(ctx context.Context) error {
	x.maps = map[string]bool{}
	fields := x.evaluated()
	var below []object
	for _, f := range x.scan.Fields {
		switch {
		case f.Type != query.Object:
			if fields = append(fields, f); f.Type == query.Dynamic && f.Root != "environment" {
				below = append(below, object{"prefix": object{"leaves": term(f.Name + ".")}})
			}
		case f.Root == "environment":
			fields = append(fields, f)
		default:
			x.maps[f.Root] = true
		}
	}
	x.flat = newFlat(fields, x.q)
	if len(below) > 0 {
		// Where a path leads to a map in some task, the names of all leaves are needed to see in which.
		a, err := x.search(ctx, object{"size": 1, "_source": false, "track_total_hits": false, "query": boolOf("should", below)})
		if err != nil {
			return err
		}
		if len(a.Hits.Hits) > 0 {
			x.flat.source = append(x.flat.source, "leaves")
		}
	}
	for root := range x.maps {
		x.flat.source = append(x.flat.source, root, "odd", "short")
	}
	if len(x.maps) == 0 && !slices.Contains(x.flat.source, "leaves") {
		return x.fromColumns(ctx, x.flat)
	}
	return nil
}

// counted lets the server count, when not all tasks that match are wanted and the filter is exact.
func (x *scanner) counted(ctx context.Context) error {
	x.count = -1
	if x.scan.First == 0 || !x.where.exact || x.doubts != nil {
		return nil
	}
	var answer struct{ All, Opaque bucketCount }
	err := x.aggregations(ctx, object{"size": 0, "query": x.where.upper, "aggs": object{
		"all": object{"filter": all()}, "opaque": object{"filter": x.opaque()},
	}}, &answer)
	if err == nil && answer.Opaque.N == 0 {
		x.count = answer.All.N
	}
	return err
}

// take reads a task as far as the filter and the fields look at it.
func (x *scanner) take(h hit) (scanned, error) {
	w := scanned{id: h.ID}
	if x.flat == nil {
		d, err := documentOf(h)
		if err != nil {
			return w, err
		}
		w.doc = x.withEnvironment(d)
		x.doubts.Add(w.doc)
		return w, nil
	}
	if x.flat.columns != nil {
		id, d, err := x.flat.ofColumns(h)
		if d != nil {
			d = x.withEnvironment(d)
		}
		return scanned{id: id, doc: d}, err
	}
	v, err := task.DecodeStored(h.Source)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return w, fmt.Errorf("task %s: its stored document is damaged", h.ID)
	}
	if m["spilled"] == true || x.hasShape(m) {
		return w, nil
	}
	if w.maps, ok, err = x.wholeMaps(h.ID, m); err != nil || !ok {
		return w, err
	}
	if w.doc, err = x.flat.document(h.ID, m); err != nil {
		return w, err
	}
	w.doc = x.withEnvironment(w.doc)
	return w, nil
}

// hasShape says whether one of the fields is a list, whose elements may be nested, or a map.
func (x *scanner) hasShape(stored map[string]any) bool {
	names, _ := stored["leaves"].([]any)
	for _, l := range x.flat.leaves {
		of, _ := stored[l.root].(map[string]any)
		odds, _ := stored["odd"].(map[string]any)
		_, isList := of[l.name].([]any)
		text, _ := odds[l.odd].(string)
		if isList || strings.HasPrefix(text, "[") {
			return true
		}
		for _, n := range names {
			if name, _ := n.(string); strings.HasPrefix(name, l.root+"."+l.path+".") {
				return true
			}
		}
	}
	return false
}

// wholeMaps are the leaves of the maps that the scan asks for. ok is false where a name may be a short one: of tasks that
// were stored without the list of these.
func (x *scanner) wholeMaps(id string, stored map[string]any) (maps map[string]map[string]any, ok bool, err error) {
	if len(x.maps) == 0 {
		return nil, true, nil
	}
	maps = map[string]map[string]any{}
	for root := range x.maps {
		of, _ := stored[root].(map[string]any)
		maps[root] = make(map[string]any, len(of))
		for name, v := range of {
			maps[root][unescape(name)] = v
		}
	}
	odds, _ := stored["odd"].(map[string]any)
	for name, text := range odds {
		root, path, _ := strings.Cut(unescape(name), ".")
		if encoded, isText := text.(string); isText && maps[root] != nil {
			if maps[root][path], err = task.DecodeStored([]byte(encoded)); err != nil {
				return nil, false, fmt.Errorf("task %s: %s: %w", id, name, err)
			}
		}
	}
	short, told := stored["short"].([]any)
	delete(stored, "short")
	for _, n := range short {
		name, _ := n.(string)
		delete(maps["used"], name)
	}
	return maps, told || !query.MayBeShort(maps["used"]), nil
}

// flush gives the rows of the tasks that wait, in their order.
func (x *scanner) flush(ctx context.Context) error {
	var missing []string
	for _, w := range x.waiting {
		if w.doc == nil {
			missing = append(missing, w.id)
		}
	}
	var whole map[string]map[string]any
	if missing != nil {
		var err error
		if whole, err = x.documents(ctx, missing); err != nil {
			return err
		}
	}
	for _, w := range x.waiting {
		doc := w.doc
		if doc == nil {
			doc = x.withEnvironment(whole[w.id])
		}
		if x.count < 0 && !x.matches(doc) {
			continue
		}
		x.matching++
		if x.scan.First > 0 && x.given == x.scan.First {
			continue
		}
		x.given++
		x.scan.Row(doc, x.row)
		for i, f := range x.scan.Fields {
			if leaves := w.maps[f.Root]; f.Type == query.Object && w.doc != nil && leaves != nil {
				if x.row[i] = leaves; len(leaves) == 0 {
					x.row[i] = query.Absent
				}
			}
		}
		if err := x.each(x.row); err != nil {
			return err
		}
		if x.count >= 0 && x.given == x.scan.First {
			return errEnough
		}
	}
	x.waiting = x.waiting[:0]
	return nil
}
