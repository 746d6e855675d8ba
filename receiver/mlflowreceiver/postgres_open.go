package mlflowreceiver

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

const (
	// askAtOnce bounds how many transactions are asked about at a time.
	askAtOnce = 20000
	// openAtMost bounds those that are listed; with more, rows since the oldest are met again.
	openAtMost = 1000
)

// unseen are the transactions that a snapshot may not see: next and later ones, and those under way, among them ones
// within others (savepoints), which PostgreSQL's own snapshots do not list.
type unseen struct {
	next uint64
	open []uint64
}

// ask finds out what is unseen by every snapshot that is taken from now on. What has ended never comes back, so only
// what was open before and what began since is asked about.
func (p *postgres) ask(ctx context.Context, d *database) error {
	var oldest, next uint64
	err := d.one(ctx, "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() AS s", &oldest, &next)
	if err != nil {
		return err
	}
	from := max(p.unseen.next, oldest)
	if p.unseen.next > next { // another server's
		p.unseen, from = unseen{}, oldest
	}
	until := min(next, from+askAtOnce)
	var before []string
	for _, x := range p.unseen.open {
		before = append(before, strconv.FormatUint(x, 10))
	}
	within, cancel := d.bounded(ctx)
	defer cancel()
	now := unseen{next: until}
	err = rows{within, d, func(string, int) {}}.each("pg_xact_status", `SELECT x FROM
		(SELECT unnest(?::text::bigint[]) AS x UNION ALL SELECT generate_series(?::bigint, ?::bigint - 1)) AS all_of_them
		WHERE x >= ? AND pg_xact_status(x::text::xid8) = 'in progress'`,
		[]any{"{" + strings.Join(before, ",") + "}", int64(from), int64(until), int64(oldest)},
		func(scan func(...any) error) error {
			var x uint64
			err := scan(&x)
			now.open = append(now.open, x)
			return err
		})
	if err != nil {
		return d.classify(err)
	}
	if len(now.open) > openAtMost {
		now = unseen{next: oldest}
	}
	p.unseen = now
	return nil
}

// list writes the open ones as rows hold them.
func (u unseen) list() string {
	var out []string
	for _, x := range u.open {
		out = append(out, strconv.FormatUint(uint64(uint32(x)), 10))
	}
	return "{" + strings.Join(out, ",") + "}"
}

func (u unseen) oldest() uint64 { return slices.Min(append(slices.Clip(u.open), u.next)) }
