package mlflowreceiver

import (
	"fmt"
	"strconv"
	"strings"
)

// PostgreSQL has no row numbers. What tells a new row from an old one is the transaction that wrote it, xmin: a row that
// a snapshot sees and an earlier one did not is from a transaction that was under way or not yet begun at the earlier
// one. No index finds such rows. Most lie at the end of the table, which each poll looks at; some lie in places that
// became free, which a pass over the whole table finds, a few milliseconds of it at each poll. What one of these scans
// found, the other may meet: that a row was seen before is known by its place and transaction.
const (
	// slack is how many blocks before the end new rows are looked for: those that had some space left.
	slack = 32
	// tailBlocks and passBlocks bound what one transaction reads, about 100 rows a block.
	tailBlocks = 256
	passBlocks = 512
	// farBehind is where numbers of transactions, which the rows hold in 32 bits, could be mistaken.
	farBehind = 1 << 30
)

// heap is what is known of the rows of one table.
type heap struct {
	tail
	file   string // what it was kept in when reading began, and by which server
	seen   string // the same at the last look
	blocks int64  // its size then

	since   uint64 // every row of an older transaction is known
	horizon uint64 // the same for rows at the end of the table
	ends    []end  // where the table ended when, the first at or before horizon
	known   map[int64]uint64
	unseen  unseen // by the last scan of the end
	last    scan   // of the end of the table
	pass    pass
}

// end says where rows of a transaction and later ones begin, if they lie at the end.
type end struct {
	from  uint64
	block int64
}

// scan goes over blocks and finds rows of transactions that an earlier one could not see.
type scan struct {
	busy  bool
	at    int64
	of    unseen // by the earlier one
	begin uint64 // the oldest transaction under way when it began: what this scan could not see is of that or a later one
	then  unseen // by this one
}

// arrival is a row that was found.
type arrival struct {
	place int64
	xid   uint64
	run   string
	key   string
	point point
}

// snapshot is the state that a transaction sees.
type snapshot struct {
	oldest, next uint64 // transaction under way, transaction that is not yet seen
}

func (h *heap) start(from uint64, block int64) {
	h.file, h.since, h.horizon = h.seen, from, from
	h.unseen = unseen{next: from}
	h.ends = []end{{from, block}}
	h.known = map[int64]uint64{}
	h.last, h.pass = scan{}, pass{unseen: h.unseen}
}

// step reads the next blocks of a scan and says whether it is at its end.
func (h *heap) step(tx rows, s *scan, now snapshot, blocks int64) ([]arrival, bool, error) {
	until := min(s.at+blocks, h.blocks)
	var found []arrival
	from := max(s.of.oldest(), h.since) // another scan may have ended meanwhile
	if now.next > from && s.at < until {
		next := int64(max(s.of.next, from) - from)
		err := tx.each(h.table, h.query(), []any{int64(uint32(from)), tid(s.at), tid(until), int64(now.next - from), next, s.of.list()}, func(scan func(...any) error) error {
			a, err := h.arrival(scan, now.next)
			found = append(found, a)
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	s.at = until
	return found, until >= h.blocks, nil
}

// query finds the rows between two places of transactions from a number on, or of those listed. Numbers go in a circle.
func (h *heap) query() string {
	return "SELECT " + h.columns() + " FROM " + h.table + " AS t, LATERAL (SELECT (t.xmin::text::bigint - ?::bigint + 4294967296) % 4294967296) AS a(age)" +
		" WHERE t.ctid >= ?::text::tid AND t.ctid < ?::text::tid AND age < ?::bigint AND (age >= ?::bigint OR t.xmin = ANY(?::text::xid[]))"
}

func (h *heap) columns() string {
	c := "t.ctid::text, t.xmin::text, " + h.run
	if h.table == "metrics" {
		c += `, t."key", t.value, t.timestamp, t.step, t.is_nan`
	}
	return c
}

func (h *heap) arrival(scan func(...any) error, next uint64) (arrival, error) {
	var a arrival
	var place, xid string
	var isNaN bool
	dest := []any{&place, &xid, &a.run}
	if h.table == "metrics" {
		dest = append(dest, &a.key, &a.point.value, &a.point.time, &a.point.step, &isNaN)
	}
	if err := scan(dest...); err != nil {
		return a, err
	}
	a.point.value = decodeMetric(a.point.value, isNaN)
	var err error
	if a.place, err = parseTID(place); err != nil {
		return a, err
	}
	x, err := strconv.ParseUint(xid, 10, 32)
	a.xid = next + uint64(int64(int32(uint32(x)-uint32(next)))) // the one of the circle that is nearest
	return a, err
}

// take notes a row and says whether it is new.
func (h *heap) take(a arrival) bool {
	if h.known[a.place] == a.xid {
		return false
	}
	h.known[a.place] = a.xid
	h.pass.found++
	return true
}

// forget drops what since and horizon need no more.
func (h *heap) forget() {
	for place, xid := range h.known {
		if xid < h.since {
			delete(h.known, place)
		}
	}
	n := 0
	for n+1 < len(h.ends) && h.ends[n+1].from <= h.horizon {
		n++
	}
	h.ends = h.ends[n:]
}

// first is the block where the end of the table begins for rows from horizon on.
func (h *heap) first() int64 { return max(0, min(h.ends[0].block, h.blocks)-slack) }

func tid(block int64) string { return fmt.Sprintf("(%d,0)", block) }

// parseTID packs "(block,item)" into a number.
func parseTID(s string) (int64, error) {
	block, item, _ := strings.Cut(strings.Trim(s, "()"), ",")
	b, err := strconv.ParseInt(block, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("place of a row %q: %w", s, err)
	}
	i, err := strconv.ParseInt(item, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("place of a row %q: %w", s, err)
	}
	return b<<16 | i, nil
}
