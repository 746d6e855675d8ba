package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"sync"

	"modernc.org/sqlite"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// sqliteDriver is a driver of our own, so that the functions of this package reach no other user of SQLite in the
// process, and no other's reach us.
var sqliteDriver = newDriver()

func newDriver() *sqlite.Driver {
	d := &sqlite.Driver{}
	d.MustRegisterDeterministicScalarFunction("mida_regexp", 3, matchRegexp)
	d.MustRegisterDeterministicScalarFunction("mida_compare", 2, compareLeaves)
	d.MustRegisterDeterministicScalarFunction("mida_json", 1, canonicalJSON)
	d.MustRegisterDeterministicScalarFunction("mida_bigkey", 1, bigKey)
	return d
}

// maxPatterns bounds the cache of compiled patterns.
const maxPatterns = 256

var (
	patternsMu sync.RWMutex
	patterns   = map[string]*regexp.Regexp{}
)

func compiled(pattern string) (*regexp.Regexp, error) {
	patternsMu.RLock()
	re := patterns[pattern]
	patternsMu.RUnlock()
	if re != nil {
		return re, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	patternsMu.Lock()
	defer patternsMu.Unlock()
	if len(patterns) >= maxPatterns {
		clear(patterns)
	}
	patterns[pattern] = re
	return re, nil
}

// matchRegexp is mida_regexp(pattern, text, skip): RE2, unanchored, on the text behind its first skip bytes.
func matchRegexp(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	pattern, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("mida_regexp: the pattern is a %T", args[0])
	}
	re, err := compiled(pattern)
	if err != nil {
		return nil, err
	}
	s, ok := args[1].(string)
	skip, _ := args[2].(int64)
	if !ok || int64(len(s)) < skip {
		return int64(0), nil
	}
	if re.MatchString(s[skip:]) {
		return int64(1), nil
	}
	return int64(0), nil
}

// compareLeaves is mida_compare(a, b): -1, 0 or 1 for two numbers in stored form, exact beyond 64 bits.
func compareLeaves(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	a, _ := decodeLeaf(args[0])
	b, _ := decodeLeaf(args[1])
	return int64(query.CompareForSort(a, b, false)), nil
}

// canonicalJSON is mida_json(leaf): the canonical encoding of a leaf, which orders what has no order of its own.
func canonicalJSON(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	v, _ := decodeLeaf(args[0])
	return task.JSON(v), nil
}

// bigKey is mida_bigkey(number): a text that orders integers of any size that are equal as a float64.
func bigKey(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	var i *big.Int
	switch v, _ := decodeLeaf(args[0]); v := v.(type) {
	case int64:
		i = big.NewInt(v)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, nil
		}
		i, _ = new(big.Float).SetFloat64(v).Int(nil)
	case map[string]any:
		digits, _ := v["$int"].(string)
		var ok bool
		if i, ok = new(big.Int).SetString(digits, 10); !ok {
			return nil, nil
		}
	default:
		return nil, nil
	}
	// Equal as a float64 means equal sign and, but for a rounding up to a power of ten, equal length.
	const width = 400
	if i.Sign() >= 0 {
		return fmt.Sprintf("1%0*s", width, i), nil
	}
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(width), nil)
	return fmt.Sprintf("0%0*s", width, limit.Add(limit, i)), nil
}
