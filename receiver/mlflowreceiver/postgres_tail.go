package mlflowreceiver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (p *postgres) reset() {
	p.heaps = map[string]*heap{}
	p.left = 0
}

// tails looks at the end of each table, in one transaction, and goes on with the passes. What was found counts when its
// transaction came to its end.
func (p *postgres) tails(ctx context.Context, d *database, version string, r *reader, old map[string]mark) (tailed, error) {
	out := tailed{marks: map[string]mark{}}
	if p.identity == "" {
		if err := p.identify(ctx, d); err != nil {
			return out, err
		}
	}
	if err := p.ask(ctx, d); err != nil { // before the snapshot
		return out, err
	}
	touched := map[string]struct{}{}
	var done []func()
	err := d.read(ctx, r.count, func(tx rows) error {
		now, err := p.look(tx)
		if err != nil {
			return err
		}
		for _, t := range tails {
			if !d.schema.has(t.table) {
				continue
			}
			h := p.heaps[t.table]
			m, known := old[t.table]
			if out.again = p.resume(h, m, known, now); out.again != nil {
				return nil
			}
			s := h.last
			if !s.busy {
				s = scan{busy: true, at: h.first(), of: h.unseen, begin: now.oldest, then: p.unseen}
			}
			whole := s.at == 0 && h.since == h.horizon
			found, end, err := h.step(tx, &s, now, tailBlocks)
			if err != nil {
				return err
			}
			done = append(done, func() {
				h.add(found, r.histories, touched)
				h.ended(s, now, end, whole && end, version)
				if !end {
					out.more = true
					out.behind += (h.blocks - s.at) * int64(len(found)) / tailBlocks
				}
			})
			if t.table == "runs" {
				m.After, err = p.first(tx, m.After, !known, touched)
				if err != nil {
					return err
				}
				out.first = m.After != nil
				out.more = out.more || out.first
			}
			out.marks[t.table] = mark{After: m.After}
		}
		return nil
	})
	if err != nil || out.again != nil {
		return out, err
	}
	for _, f := range done {
		f()
	}
	hurry, err := p.passes(ctx, d, version, r, touched)
	out.more = out.more || hurry
	for table, m := range out.marks {
		h := p.heaps[table]
		m.Since, m.Row, m.File = h.since, h.ends[0].block, h.file
		out.marks[table] = m
	}
	out.runs = slices.Collect(maps.Keys(touched))
	out.behind += p.left
	return out, err
}

// look finds out what this transaction sees, and where the tables are. They are locked before, so that none is rewritten
// from then on.
func (p *postgres) look(tx rows) (snapshot, error) {
	var now snapshot
	var ask, names []string
	for _, t := range tails {
		if tx.db.schema.has(t.table) {
			ask = append(ask, "(SELECT 1 FROM "+t.table+" LIMIT 0)")
			names = append(names, "'"+t.table+"'")
		}
	}
	if err := tx.each("runs", "SELECT "+strings.Join(ask, ", "), nil, func(func(...any) error) error { return nil }); err != nil {
		return now, err
	}
	seen := 0
	err := tx.each("pg_class", `SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint, c.relname::text,
		pg_relation_size(c.oid) / current_setting('block_size')::bigint, pg_relation_filenode(c.oid)::bigint, pg_stat_get_tuples_inserted(c.oid)
		FROM pg_current_snapshot() AS s, pg_class AS c WHERE c.relkind = 'r' AND pg_table_is_visible(c.oid) AND c.relname IN (`+strings.Join(names, ", ")+")",
		nil, func(scan func(...any) error) error {
			var table string
			var blocks, file int64
			var inserted sql.NullInt64
			if err := scan(&now.oldest, &now.next, &table, &blocks, &file, &inserted); err != nil {
				return err
			}
			h := p.heaps[table]
			if h == nil {
				h = &heap{tail: tails[slices.IndexFunc(tails, func(t tail) bool { return t.table == table })]}
				p.heaps[table] = h
			}
			h.seen, h.blocks = fmt.Sprintf("%s/%d", p.identity, file), blocks
			h.pass.count(inserted.Int64)
			seen++
			return nil
		})
	if err == nil && seen < len(names) {
		err = fmt.Errorf("%w: one of the tables %s is a view or partitioned; want MLflow's own tables", errNotMLflow, strings.Join(names, ", "))
	}
	p.next = now.next
	return now, err
}

// resume begins where the mark says, and says why it cannot.
func (p *postgres) resume(h *heap, m mark, known bool, now snapshot) *again {
	switch {
	case known && m.File != h.seen:
		return &again{"replaced", h.table, "a table of the MLflow database was rewritten, or the database restored or moved"}
	case known && (now.next < m.Since || now.next-m.Since > farBehind):
		return &again{"replaced", h.table, "the transactions of the MLflow database are not those after the last reading"}
	case h.known != nil:
	case known:
		h.start(m.Since, m.Row)
	default:
		h.start(now.oldest, h.blocks)
	}
	return nil
}

// first reads the next runs of the first reading, which goes by their id.
func (p *postgres) first(tx rows, after *string, begin bool, touched map[string]struct{}) (*string, error) {
	if begin {
		after = new(string)
	}
	if after == nil {
		return nil, nil
	}
	last, n := *after, int64(0)
	if p.left == 0 {
		err := tx.each("runs", "SELECT count(*) FROM runs AS t WHERE t.run_uuid > ?", []any{last}, func(scan func(...any) error) error { return scan(&p.left) })
		if err != nil {
			return after, err
		}
	}
	err := tx.each("runs", "SELECT t.run_uuid FROM runs AS t WHERE t.run_uuid > ? ORDER BY t.run_uuid LIMIT ?", []any{last, runsAtOnce},
		func(scan func(...any) error) error {
			n++
			err := scan(&last)
			touched[last] = struct{}{}
			return err
		})
	if n < runsAtOnce {
		p.left = 0
		return nil, err
	}
	p.left = max(p.left-n, 1)
	return &last, err
}

// add takes rows in: their runs are touched, and points go to the histories that were read.
func (h *heap) add(found []arrival, known histories, touched map[string]struct{}) {
	for _, a := range found {
		if !h.take(a) {
			continue
		}
		touched[a.run] = struct{}{}
		if x := known[a.run]; h.table == "metrics" && x != nil && x.whole {
			x.series[a.key] = x.series[a.key].add(a.point)
		}
	}
}

// ended notes how far a scan of the end of the table came; whole says that this was all of it.
func (h *heap) ended(s scan, now snapshot, done, whole bool, version string) {
	if last := h.ends[len(h.ends)-1]; last.from < now.next && last.block != h.blocks {
		h.ends = append(h.ends, end{now.next, h.blocks})
	}
	h.last = s
	if !done {
		return
	}
	h.last.busy = false
	h.horizon, h.unseen = s.begin, s.then
	if whole || !h.hasPass() {
		h.since = s.begin
		h.pass.covered(version)
		h.pass.unseen = s.then
	}
	h.forget()
}

// advance reads all points of a run once; later ones come as they are found.
func (p *postgres) advance(tx rows, h *history, id string, _ int) (int, error) {
	if h.whole {
		return 0, nil
	}
	of := p.heaps["metrics"]
	if of == nil || of.known == nil { // tails comes first
		return 0, errors.New("table metrics: its end was not looked at")
	}
	series := map[string]series{}
	var found []arrival
	n := 0
	err := tx.each("metrics", "SELECT "+of.columns()+" FROM metrics AS t WHERE t.run_uuid = ?", []any{id}, func(scan func(...any) error) error {
		a, err := of.arrival(scan, p.next)
		if err != nil {
			return err
		}
		n++
		series[a.key] = series[a.key].add(a.point)
		if a.xid >= of.since { // which a scan may meet again
			found = append(found, a)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, a := range found {
		of.take(a)
	}
	h.series, h.whole = series, true
	return n, nil
}
