package query

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"sort"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// Leaves returns the leaves (task.Leaves) of one map of a task document by their path. Those of "used" are also there
// under their short names. Names that several arguments have are in ambiguous, each with the full names of its fields.
func Leaves(root string, m map[string]any) (leaves map[string]any, ambiguous map[string][]string) {
	leaves, flat := OwnLeaves(m)
	if root != "used" || flat {
		return leaves, nil
	}
	short, ambiguous := ShortNames(m, leaves)
	for name, path := range short {
		leaves[name] = leaves[path]
	}
	return leaves, ambiguous
}

// OwnLeaves is task.Leaves, and m itself where that is flat.
func OwnLeaves(m map[string]any) (leaves map[string]any, isFlat bool) {
	if flat(m) {
		return m, true
	}
	return task.Leaves(m), false
}

// ShortNames returns, of what a task used and the leaves of it, the names without the argument that holds the leaf, each
// with the path of its leaf, so that train(cfg) has used.layers as well as used.cfg.layers: when the name has no leaf of
// its own and only one argument has it. Names that several arguments have are in ambiguous.
func ShortNames(used, leaves map[string]any) (short map[string]string, ambiguous map[string][]string) {
	alias := map[string][]string{}
	for argument, v := range used {
		inner, ok := v.(map[string]any)
		if !ok || task.IsMarker(inner) {
			continue
		}
		for path := range leaves {
			name, ok := strings.CutPrefix(path, argument+".")
			if _, own := leaves[name]; ok && !own {
				alias[name] = append(alias[name], path)
			}
		}
	}
	short = make(map[string]string, len(alias))
	for name, paths := range alias {
		if len(paths) == 1 {
			short[name] = paths[0]
			continue
		}
		if ambiguous == nil {
			ambiguous = map[string][]string{}
		}
		sort.Strings(paths)
		for i, p := range paths {
			paths[i] = "used." + p
		}
		ambiguous[name] = paths
	}
	return short, ambiguous
}

// MayBeShort says whether one of the leaves has a name that may be the short one of another.
func MayBeShort(leaves map[string]any) bool {
	for path := range leaves {
		for {
			_, rest, dotted := strings.Cut(path, ".")
			if !dotted {
				break
			}
			if _, ok := leaves[rest]; ok {
				return true
			}
			path = rest
		}
	}
	return false
}

// document is a task document with its leaves, found when asked for.
type document struct {
	fields    map[string]any
	leaves    map[string]map[string]any
	ambiguous map[string][]string
}

func newDocument(m map[string]any) *document {
	return &document{fields: m, leaves: map[string]map[string]any{}}
}

func (d *document) leavesOf(root string) map[string]any {
	l, ok := d.leaves[root]
	if !ok {
		m, _ := d.fields[root].(map[string]any)
		var ambiguous map[string][]string
		l, ambiguous = Leaves(root, m)
		d.leaves[root] = l
		if ambiguous != nil {
			d.ambiguous = ambiguous
		}
	}
	return l
}

// get returns the value of a field as a row shows it: nested as the task had it.
func (d *document) get(f Field) (any, bool) {
	switch {
	case f.Type == Duration:
		if seconds, ok := Elapsed(d.fields); ok {
			return seconds, true
		}
		return nil, false
	case f.Path == "":
		v, ok := d.fields[f.Root]
		return v, ok
	}
	if v, ok := d.leavesOf(f.Root)[f.Path]; ok {
		if raw, ok := dig(d.fields[f.Root], f.Path); ok {
			return raw, true
		}
		return v, true
	}
	return dig(d.fields[f.Root], f.Path)
}

// dig follows a dotted path through maps.
func dig(v any, path string) (any, bool) {
	for _, part := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[part]; !ok {
			return nil, false
		}
	}
	return v, true
}

// leaf returns the one value of a field that sorts and groups; a list is one value.
func (d *document) leaf(f Field) (any, bool) {
	if f.Type == Dynamic {
		v, ok := d.leavesOf(f.Root)[f.Path]
		return v, ok
	}
	return d.get(f)
}

// values returns all values of a field, the elements of a list one by one, and whether the task has the field at all.
func (d *document) values(f Field) (vals []any, exists bool) {
	v, ok := d.leaf(f)
	if !ok {
		return nil, f.Type == Dynamic && d.inside(f)
	}
	if list, isList := v.([]any); isList {
		return list, true
	}
	return []any{v}, true
}

// inside says whether the path leads to a map, which has fields but no value.
func (d *document) inside(f Field) bool {
	for path := range d.leavesOf(f.Root) {
		if strings.HasPrefix(path, f.Path+".") {
			return true
		}
	}
	return false
}

// Elapsed is how long a task ran, in seconds. Start and end may be told by two clocks that disagree: no task ran for less
// than nothing.
func Elapsed(doc map[string]any) (float64, bool) {
	start, ok1 := doc["started_at"].(int64)
	end, ok2 := doc["ended_at"].(int64)
	if !ok1 || !ok2 {
		return 0, false
	}
	return float64(max(end-start, 0)) / 1e9, true
}

func bigInt(s string) *big.Int {
	i, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil
	}
	return i
}

// number returns a value as an exact number; ok is false for what is none and for NaN.
func number(v any) (f *big.Float, ok bool) {
	switch v := v.(type) {
	case int64:
		return new(big.Float).SetInt64(v), true
	case float64:
		if math.IsNaN(v) {
			return nil, false
		}
		return new(big.Float).SetFloat64(v), true
	case map[string]any:
		if isBigInt(v) {
			return new(big.Float).SetInt(bigInt(v["$int"].(string))), true
		}
	}
	return nil, false
}

func isNaN(v any) bool {
	f, ok := v.(float64)
	return ok && math.IsNaN(f)
}

// equal says whether two values are the same: 1 is 1.0 and is not true; NaN is NaN; null is only null.
func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x.Cmp(y) == 0
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		y, ok := b.(bool)
		return ok && a == y
	case string:
		y, ok := b.(string)
		return ok && a == y
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(a, y)
	default:
		return isNaN(a) && isNaN(b)
	}
}

// order compares two values of one kind for $lt and its like: numbers, or strings by their bytes. Others have no order.
func order(a, b any) (int, bool) {
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return x.Cmp(y), true
		}
		return 0, false
	}
	x, ok1 := a.(string)
	y, ok2 := b.(string)
	return strings.Compare(x, y), ok1 && ok2
}

// The kinds of values in the order in which rows are sorted.
const (
	rankNumber = iota
	rankString
	rankBool
	rankOther
	rankNothing // missing, null and NaN, which come last in both directions
)

func rank(v any) int {
	if _, ok := number(v); ok {
		return rankNumber
	}
	switch v := v.(type) {
	case nil:
		return rankNothing
	case string:
		return rankString
	case bool:
		return rankBool
	case float64:
		return rankNothing
	default:
		_ = v
		return rankOther
	}
}

// CompareForSort orders values of any kind: numbers, strings by their bytes, false and true, everything else by its
// canonical JSON. Missing, null and NaN are equal here and come last, whatever the direction.
func CompareForSort(a, b any, descending bool) int {
	if x, ok := a.(float64); ok { // by far the most frequent, and exact numbers are dear
		if y, ok := b.(float64); ok && !math.IsNaN(x) && !math.IsNaN(y) {
			if descending {
				x, y = y, x
			}
			return cmp.Compare(x, y)
		}
	}
	ra, rb := rank(a), rank(b)
	if ra == rankNothing || rb == rankNothing {
		return compareInt(ra/rankNothing, rb/rankNothing)
	}
	c := compareInt(ra, rb)
	if c == 0 {
		switch ra {
		case rankBool:
			c = compareInt(truth(a), truth(b))
		case rankOther:
			c = strings.Compare(task.JSON(a), task.JSON(b))
		default:
			c, _ = order(a, b)
		}
	}
	if descending {
		return -c
	}
	return c
}

func truth(v any) int {
	if v == true {
		return 1
	}
	return 0
}

func compareInt(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// flat says whether a map's values are its leaves: no path leads into one.
func flat(m map[string]any) bool {
	for _, v := range m {
		switch v := v.(type) {
		case map[string]any:
			return false
		case []any:
			for _, e := range v {
				switch e.(type) {
				case map[string]any, []any:
					return false
				}
			}
		}
	}
	return true
}
