package correlation

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/query"
)

// column is one field of a side, and what was seen of it.
type column struct {
	name     string
	index    int
	selector int
	tasks    int64 // that have the field

	null, notFinite, other, texts, booleans int64
	numbers                                 moments
	values                                  []float64 // by row, for ranks; NaN where there is no number
	categories                              map[string]int
	counted                                 int  // categories, where a store has counted them
	tooMany                                 bool // categories
}

// category is the index of a text, or -1 where there are too many.
func (c *column) category(text string) int {
	key := categoryKey(text)
	i, ok := c.categories[key]
	switch {
	case ok:
		return i
	case len(c.categories) == MaxCategories:
		c.tooMany = true
		return -1
	case c.categories == nil:
		c.categories = map[string]int{}
	}
	i = len(c.categories)
	c.categories[key] = i
	return i
}

// numeric says what the field is taken for: what most of its values are, so that neither the order in which tasks come
// nor one stray text decides. The others are left out and counted.
func (c *column) numeric() bool { return c.numbers.n > 0 && c.numbers.n >= c.texts }

func (c *column) different() int { return max(c.counted, len(c.categories)) }

func (c *column) categorical() bool { return c.texts > c.numbers.n }

// side is the fields of x or of y. They are found while reading.
type side struct {
	at        string
	selectors []Selector
	places    []int // of their fields in a row
	columns   []*column
	byName    map[string]*column
	found     []cell // in the row at hand
}

// cell is what a row has of a column.
type cell struct {
	column   *column
	value    value
	category int
}

func newSide(at string, selectors []Selector, fields []query.Field) *side {
	s := &side{at: at, selectors: selectors, byName: map[string]*column{}}
	for i, sel := range selectors {
		s.places = append(s.places, slices.Index(fields, sel.Field))
		if !sel.All {
			s.add(sel.Field.Name, i)
		}
	}
	return s
}

func (s *side) add(name string, selector int) *column {
	c := &column{name: name, index: len(s.columns), selector: selector}
	s.columns = append(s.columns, c)
	s.byName[name] = c
	return c
}

// ordered are the columns as they were asked for; those of a prefix by name.
func (s *side) ordered() []*column {
	out := slices.Clone(s.columns)
	slices.SortFunc(out, func(a, b *column) int {
		if a.selector != b.selector {
			return a.selector - b.selector
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

// take finds the side's fields in a row.
func (s *side) take(row []any) error {
	s.found = s.found[:0]
	for i, sel := range s.selectors {
		v := row[s.places[i]]
		if v == query.Absent {
			continue
		}
		if !sel.All {
			s.see(s.byName[sel.Field.Name], valueOf(sel.Field, v))
			continue
		}
		leaves, _ := v.(map[string]any)
		for path, leaf := range leaves {
			if !strings.HasPrefix(path, sel.Below) || path == "" {
				continue
			}
			name := sel.Field.Root + "." + path
			c := s.byName[name]
			switch {
			case c == nil && len(s.columns) == MaxFields:
				return tooManyFields(s.at, fmt.Sprintf("%s names more than %d fields", sel.Name, MaxFields))
			case c == nil:
				c = s.add(name, i)
			case c.selector != i:
				continue // it was named, or is below another prefix, too
			}
			s.see(c, valueOf(query.Field{}, leaf))
		}
	}
	return nil
}

func (s *side) see(c *column, v value) {
	c.tasks++
	found := cell{column: c, value: v}
	switch v.class {
	case isNumber:
		c.numbers.add(v.number)
		if v.boolean {
			c.booleans++
		}
	case isText:
		c.texts++
		if found.category = c.category(v.text); found.category < 0 {
			return
		}
	case isNull:
		c.null++
		return
	case isNotFinite:
		c.notFinite++
		return
	default:
		c.other++
		return
	}
	s.found = append(s.found, found)
}

// pair is what was seen of two fields together, by what their values were.
type pair struct {
	numbers  comoments
	byX, byY *levels // numbers of y by categories of x, and the other way round
}

// table takes one row at a time.
type table struct {
	x, y   *side
	pairs  [][]*pair // by the columns' indexes; grown as columns are found
	rows   int
	ranked bool // keep the numbers, to rank them
}

func (t *table) add(row []any) error {
	if err := t.x.take(row); err != nil {
		return err
	}
	if err := t.y.take(row); err != nil {
		return err
	}
	if nx, ny := len(t.x.columns), len(t.y.columns); nx*ny > MaxCells {
		return tooManyCells(nx, ny)
	}
	if t.ranked {
		t.keep(t.x.found)
		t.keep(t.y.found)
	}
	t.rows++
	for _, x := range t.x.found {
		for _, y := range t.y.found {
			t.pair(x.column.index, y.column.index).add(x, y, t.ranked)
		}
	}
	return nil
}

func (t *table) keep(found []cell) {
	for _, f := range found {
		if f.value.class == isNumber {
			f.column.pad(t.rows)
			f.column.values = append(f.column.values, f.value.number)
		}
	}
}

// pad fills the rows that have no number.
func (c *column) pad(rows int) {
	for len(c.values) < rows {
		c.values = append(c.values, math.NaN())
	}
}

func (t *table) pair(x, y int) *pair {
	for len(t.pairs) <= x {
		t.pairs = append(t.pairs, nil)
	}
	for len(t.pairs[x]) <= y {
		t.pairs[x] = append(t.pairs[x], nil)
	}
	if t.pairs[x][y] == nil {
		t.pairs[x][y] = &pair{}
	}
	return t.pairs[x][y]
}

func (p *pair) add(x, y cell, ranked bool) {
	switch {
	case x.value.class == isNumber && y.value.class == isNumber:
		if !ranked {
			p.numbers.add(x.value.number, y.value.number)
		}
	case y.value.class == isNumber:
		if p.byX == nil {
			p.byX = &levels{}
		}
		p.byX.add(x.category, y.value.number)
	case x.value.class == isNumber:
		if p.byY == nil {
			p.byY = &levels{}
		}
		p.byY.add(y.category, x.value.number)
	}
}
