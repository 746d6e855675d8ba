package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// leafReader reads the fields of a scan from the columns and the leaves of tasks. The state, thirty times as dear, is read
// only where leaves do not tell what a row shows: the shape of a list or of a map.
type leafReader struct {
	tx      *sql.Tx
	scan    *query.Scan
	columns []string // to select
	// What the columns are for: fields by their index.
	promoted     []int // of the first columns, in their order
	elapsed      int
	environment  []int
	records      *query.Scan // of the environment's fields
	byDigest     map[string][]any
	blobs        []string       // l.main, l.extra: the last columns
	leaves       map[string]int // by label
	maps         map[string]int // by root
	paths        map[string]string
	state        *sql.Stmt
	row          []any
	found        map[string]any // below used
	shape        bool           // the row shows the shape of a list or a map
	n            int64
	values       []any
	objects      []sql.RawBytes
	destinations []any
	startAt      int // the first of the columns of elapsed
}

// mostPaths bounds the labels that are remembered with their paths.
const mostPaths = 10_000

func newLeafReader(ctx context.Context, tx *sql.Tx, s *query.Scan) (*leafReader, error) {
	r := &leafReader{
		tx: tx, scan: s, elapsed: -1, leaves: map[string]int{}, maps: map[string]int{}, paths: map[string]string{},
		byDigest: map[string][]any{}, records: &query.Scan{}, row: make([]any, len(s.Fields)),
	}
	blobs := map[string]bool{}
	for i, f := range s.Fields {
		switch {
		case f.Name == "elapsed":
			r.elapsed = i
		case f.Root == "environment":
			r.environment, r.records.Fields = append(r.environment, i), append(r.records.Fields, f)
		case promoted[f.Name]:
			r.columns, r.promoted = append(r.columns, "t."+f.Name), append(r.promoted, i)
		case f.Type == query.Object:
			r.maps[f.Root], blobs[blobOf(f)] = i, true
		default:
			r.leaves[leafKey(f.Name)], blobs[blobOf(f)] = i, true
		}
	}
	if r.elapsed >= 0 {
		r.startAt = len(r.columns)
		r.columns = append(r.columns, "t.started_at", "t.ended_at")
	}
	if r.environment != nil {
		r.columns = append(r.columns, "t.environment")
	}
	r.values = make([]any, len(r.columns))
	r.destinations = append(r.destinations, &r.n)
	for i := range r.values {
		r.destinations = append(r.destinations, &r.values[i])
	}
	for _, blob := range []string{"l.main", "l.extra"} {
		if blobs[blob] {
			r.blobs = append(r.blobs, blob)
		}
	}
	r.objects = make([]sql.RawBytes, len(r.blobs))
	for i := range r.objects {
		r.destinations = append(r.destinations, &r.objects[i])
	}
	var err error
	r.state, err = tx.PrepareContext(ctx, "SELECT state FROM states WHERE n = ?")
	return r, err
}

func blobOf(f query.Field) string { return objects[f.Root] }

func (r *leafReader) close() { _ = r.state.Close() }

// from reads tasks: those of a table of numbers, in its order, or all. each may use the row until it returns.
func (r *leafReader) from(ctx context.Context, numbers string, args []any, each func(n int64, row []any, damaged error) error) error {
	var tables []string
	number := "t.n"
	if numbers != "" {
		tables, number = append(tables, numbers+" m"), "m.n"
	}
	join := func(table string) {
		if len(tables) > 0 {
			table += " ON " + table[len(table)-1:] + ".n = " + number
		}
		tables = append(tables, table)
	}
	if len(r.columns) > 0 || len(r.blobs) == 0 {
		join("tasks t")
	} else if numbers == "" {
		number = "l.n"
	}
	if len(r.blobs) > 0 {
		join("leaves l")
	}
	rows, err := r.tx.QueryContext(ctx, "SELECT "+number+prefixed(r.columns)+prefixed(r.blobs)+" FROM "+strings.Join(tables, " CROSS JOIN "), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(r.destinations...); err != nil {
			return err
		}
		damaged, err := r.fill(ctx)
		if err == nil {
			err = each(r.n, r.row, damaged)
		}
		if err != nil {
			return err
		}
	}
	return rows.Err()
}

// numbered is a table of numbers for from.
func numbered(rows []int64) (table string, args []any) {
	list := rowList(rows)
	if list == "" {
		list = "[]"
	}
	return "(SELECT value AS n FROM json_each(?))", []any{list}
}

// fill makes the row of the values that were read. damaged says that the state was needed and cannot be read; then the row
// is what the leaves say.
func (r *leafReader) fill(ctx context.Context) (damaged, err error) {
	for i := range r.row {
		r.row[i] = query.Absent
	}
	for c, i := range r.promoted {
		if r.values[c] != nil {
			r.row[i] = r.values[c]
		}
	}
	if r.elapsed >= 0 {
		times := map[string]any{"started_at": r.values[r.startAt], "ended_at": r.values[r.startAt+1]}
		if seconds, ok := query.Elapsed(times); ok {
			r.row[r.elapsed] = seconds
		}
	}
	if r.environment != nil {
		if err := r.fillEnvironment(ctx); err != nil {
			return nil, err
		}
	}
	r.shape, r.found = false, nil
	for _, object := range r.objects {
		if err := eachLeaf(object, r.see); err != nil {
			return nil, fmt.Errorf("task number %d: %w", r.n, err)
		}
	}
	if r.shape || query.MayBeShort(r.found) {
		return r.fillFromState(ctx)
	}
	return nil, nil
}

// see takes one leaf.
func (r *leafReader) see(label []byte, kind byte, data []byte) (err error) {
	if i, ok := r.leaves[string(label)]; ok {
		if r.row[i], err = leafValue(kind, data); err != nil {
			return err
		}
		r.shape = r.shape || kind == jsonbArray
	}
	root := bytes.IndexByte(label, '.')
	if len(r.leaves) > 0 && root > 0 {
		for at := root + 1; ; at++ {
			dot := bytes.IndexByte(label[at:], '.')
			if dot < 0 {
				break
			}
			if at += dot; r.isWanted(label[:at]) {
				r.shape = true // a path that leads to a map
			}
		}
	}
	if len(r.maps) == 0 {
		return nil
	}
	if string(label) == shortKey {
		return r.dropShort(data)
	}
	if root < 0 {
		return nil
	}
	i, ok := r.maps[string(label[:root])]
	if !ok {
		return nil
	}
	m, ok := r.row[i].(map[string]any)
	if !ok {
		m = map[string]any{}
		if r.row[i] = m; string(label[:root]) == "used" {
			r.found = m
		}
	}
	m[r.path(label)], err = leafValue(kind, data)
	return err
}

func (r *leafReader) isWanted(label []byte) bool { _, ok := r.leaves[string(label)]; return ok }

// path is that of a leaf within its map.
func (r *leafReader) path(label []byte) string {
	if p, ok := r.paths[string(label)]; ok {
		return p
	}
	_, p, _ := strings.Cut(leafName(string(label)), ".")
	if len(r.paths) < mostPaths {
		r.paths[string(label)] = p
	}
	return p
}

// dropShort removes the short names, which are no leaves of their own.
func (r *leafReader) dropShort(list []byte) error {
	if r.found == nil {
		return nil
	}
	names, err := leafValue(jsonbArray, list)
	if err != nil {
		return err
	}
	for _, name := range names.([]any) {
		text, _ := name.(string)
		delete(r.found, text)
	}
	r.found = nil
	return nil
}

func (r *leafReader) fillEnvironment(ctx context.Context) error {
	digest, ok := r.values[len(r.values)-1].(string)
	if !ok {
		return nil
	}
	values, ok := r.byDigest[digest]
	if !ok {
		found, err := environments(ctx, r.tx, []string{digest})
		if err != nil {
			return err
		}
		doc := map[string]any{"environment": digest} // until the record has arrived
		if record := found[digest]; record != nil {
			doc["environment"] = record
		}
		values = make([]any, len(r.environment))
		r.records.Row(doc, values)
		r.byDigest[digest] = values
	}
	for k, i := range r.environment {
		r.row[i] = values[k]
	}
	return nil
}

// fillFromState reads the whole task.
func (r *leafReader) fillFromState(ctx context.Context) (damaged, err error) {
	var state []byte
	if err := r.state.QueryRowContext(ctx, r.n).Scan(&state); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("it has none"), nil
		}
		return nil, err
	}
	st, err := task.DecodeState(state)
	if err != nil {
		return err, nil
	}
	r.scan.Row(task.Project(st).Map(), r.row)
	if r.environment != nil {
		return nil, r.fillEnvironment(ctx)
	}
	return nil, nil
}
