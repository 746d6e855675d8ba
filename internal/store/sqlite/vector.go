package sqlite

import (
	"context"
	"database/sql"
	"math"
)

// vector holds the values of one field for all tasks by row number, in stored form (see encodeLeaf), nine bytes each.
type vector struct {
	kinds   []byte
	bits    []uint64
	strings []string // what bits of kind text point to; equal texts share one
	index   map[string]uint64
	bytes   int // of the strings
	source  vectorSource
	used    int64 // the clock of the last query that used it
}

const (
	vectorMissing byte = iota
	vectorInt
	vectorFloat
	vectorText
)

// perString stands for what an interned text takes beyond its bytes.
const perString = 64

func (v *vector) size() int { return 9*len(v.kinds) + v.bytes }

func (v *vector) grow(rows int) {
	for len(v.kinds) < rows {
		v.kinds = append(v.kinds, vectorMissing)
		v.bits = append(v.bits, 0)
	}
}

func (v *vector) set(n int64, value any) {
	v.grow(int(n) + 1)
	switch x := value.(type) {
	case int64:
		v.kinds[n], v.bits[n] = vectorInt, uint64(x)
	case float64:
		v.kinds[n], v.bits[n] = vectorFloat, math.Float64bits(x)
	case string:
		i, ok := v.index[x]
		if !ok {
			if v.index == nil {
				v.index = map[string]uint64{}
			}
			i = uint64(len(v.strings))
			v.index[x] = i
			v.strings = append(v.strings, x)
			v.bytes += len(x) + perString
		}
		v.kinds[n], v.bits[n] = vectorText, i
	default:
		v.kinds[n] = vectorMissing
	}
}

func (v *vector) get(n int64) any {
	if n >= int64(len(v.kinds)) {
		return nil
	}
	switch v.kinds[n] {
	case vectorInt:
		return int64(v.bits[n])
	case vectorFloat:
		return math.Float64frombits(v.bits[n])
	case vectorText:
		return v.strings[v.bits[n]]
	default:
		return nil
	}
}

// load reads the values of rows: all of them, or those of a JSON list of row numbers. It gives up, and returns false,
// once the vector is larger than limit.
func (v *vector) load(ctx context.Context, tx *sql.Tx, source vectorSource, rows string, limit int) (fits bool, err error) {
	query := "SELECT " + source.row + ", " + source.expr + " FROM " + source.table
	args := source.args
	if rows != "" {
		query += " WHERE " + source.row + " IN (SELECT value FROM json_each(?))"
		args = append(args[:len(args):len(args)], rows)
	}
	r, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	defer r.Close()
	var n int64
	var value any
	for count := 0; r.Next(); count++ {
		if err := r.Scan(&n, &value); err != nil {
			return false, err
		}
		if b, ok := value.([]byte); ok {
			value = string(b)
		}
		v.set(n, value)
		if count&1023 == 0 && v.size() > limit {
			return false, nil
		}
	}
	return v.size() <= limit, r.Err()
}

// vectorSource says where the values of a vector come from.
type vectorSource struct {
	row, expr, table string
	args             []any
}
