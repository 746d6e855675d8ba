package sqlite

import (
	"database/sql/driver"
	"sort"
)

const (
	sqlRangesOf    = `SELECT first, last FROM seqs WHERE observer = ? ORDER BY first`
	sqlPutRange    = `INSERT INTO seqs (observer, first, last) VALUES (?,?,?) ON CONFLICT DO UPDATE SET last = excluded.last`
	sqlDeleteRange = `DELETE FROM seqs WHERE observer = ? AND first = ?`
)

// seqRanges are the sequence numbers of one observer in one campaign that arrived: sorted, disjoint, not adjacent. It
// mirrors the table seqs; only the writer uses it.
type seqRanges struct {
	observer int64 // row number
	ranges   [][2]int64
}

// maxObservers bounds the mirror; observers come and go with the processes of the campaign.
const maxObservers = 1000

func (s *Store) rangesOf(ses *session, k observerKey) (*seqRanges, error) {
	if r, ok := s.ranges[k]; ok {
		return r, nil
	}
	n, _, err := findObserver(ses, k)
	if err != nil {
		return nil, err
	}
	r := &seqRanges{observer: n}
	err = ses.query(sqlRangesOf, func(v []driver.Value) error {
		r.ranges = append(r.ranges, [2]int64{intOf(v[0]), intOf(v[1])})
		return nil
	}, n)
	if err != nil {
		return nil, err
	}
	if len(s.ranges) >= maxObservers {
		clear(s.ranges)
	}
	s.ranges[k] = r
	return r, nil
}

// has says that a number arrived before.
func (r *seqRanges) has(n int64) bool {
	i := sort.Search(len(r.ranges), func(i int) bool { return r.ranges[i][1] >= n })
	return i < len(r.ranges) && r.ranges[i][0] <= n
}

// add unites [first, last] with the ranges that it touches.
func (r *seqRanges) add(ses *session, first, last int64) error {
	// i is the first range that ends at first-1 or later, j the first one that begins after last+1.
	i := sort.Search(len(r.ranges), func(i int) bool { return r.ranges[i][1] >= first-1 })
	j := sort.Search(len(r.ranges), func(j int) bool { return r.ranges[j][0] > last+1 })
	if i < j {
		if r.ranges[i][0] <= first && last <= r.ranges[i][1] {
			return nil // all known: a replay
		}
		first, last = min(first, r.ranges[i][0]), max(last, r.ranges[j-1][1])
	}
	for _, old := range r.ranges[i:j] {
		if old[0] == first {
			continue // written over below
		}
		if _, err := ses.exec(sqlDeleteRange, r.observer, old[0]); err != nil {
			return err
		}
	}
	if _, err := ses.exec(sqlPutRange, r.observer, first, last); err != nil {
		return err
	}
	if i < j {
		r.ranges[i] = [2]int64{first, last}
		r.ranges = append(r.ranges[:i+1], r.ranges[j:]...)
		return nil
	}
	r.ranges = append(r.ranges, [2]int64{})
	copy(r.ranges[i+1:], r.ranges[i:])
	r.ranges[i] = [2]int64{first, last}
	return nil
}
