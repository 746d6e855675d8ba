package provenanceprocessor

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// record is what claims are made of: the few facts about an event that need decoding, and its values as they stand in the
// log record. Most values are numbers, of which nothing is made; the exporter decodes them.
type record struct {
	event           *task.Event
	used, generated pcommon.Map
	paths           paths
}

// needed are the attributes that claims depend on, apart from values and paths.
var needed = func() map[string]bool {
	names := map[string]bool{task.AttrKind: true, task.AttrKey: true, task.AttrStartedAt: true, task.AttrEndedAt: true, task.AttrClaims: true}
	for _, n := range whereAttributes {
		names[n] = true
	}
	return names
}()

// read reads a log record of a task or an entity; its parts are valid as long as the log record is.
func (r *record) read(lr plog.LogRecord, resource map[string]any) (err error) {
	if r.event, err = task.FromRecordPart(lr, resource, needed); err != nil {
		return err
	}
	attrs := lr.Attributes()
	if r.used, err = mapping(attrs, task.AttrUsed); err != nil {
		return err
	}
	if r.generated, err = mapping(attrs, task.AttrGenerated); err != nil {
		return err
	}
	return r.paths.read(lr)
}

func mapping(attrs pcommon.Map, key string) (pcommon.Map, error) {
	v, ok := attrs.Get(key)
	if !ok || v.Type() == pcommon.ValueTypeEmpty {
		return pcommon.NewMap(), nil
	}
	if v.Type() != pcommon.ValueTypeMap {
		return pcommon.Map{}, fmt.Errorf("%s: want a map", key)
	}
	return v.Map(), nil
}

// paths are the files behind texts, as the observer found them.
type paths struct {
	list []namedPath
	byID map[string]int // of long lists
}

type namedPath struct {
	name string
	info entity.PathInfo
}

// fewPaths is up to how many paths a list is looked through.
const fewPaths = 8

func (p *paths) read(lr plog.LogRecord) error {
	p.list, p.byID = p.list[:0], nil
	m, err := mapping(lr.Attributes(), task.AttrPaths)
	if err != nil {
		return err
	}
	for k, v := range m.All() {
		info, ok := task.PathOf(v)
		if !ok {
			return p.readAny(lr)
		}
		p.add(task.ValidText(k), info)
	}
	return nil
}

// readAny reads what is written in another way than ours.
func (p *paths) readAny(lr plog.LogRecord) error {
	p.list = p.list[:0]
	e, err := task.FromRecordPart(lr, nil, map[string]bool{task.AttrPaths: true})
	if err != nil {
		return err
	}
	for name, info := range e.Paths {
		p.add(name, info)
	}
	return nil
}

func (p *paths) add(name string, i task.PathInfo) {
	p.list = append(p.list, namedPath{name, entity.PathInfo{Real: i.Real, FS: i.FS, Rel: i.Rel, ModTime: i.ModTime, Size: i.Size}})
}

// find returns the file behind a text, nil when none is known.
func (p *paths) find(name string) *entity.PathInfo {
	if len(p.list) <= fewPaths {
		for i := range p.list {
			if p.list[i].name == name {
				return &p.list[i].info
			}
		}
		return nil
	}
	if p.byID == nil {
		p.byID = make(map[string]int, len(p.list))
		for i, n := range p.list {
			p.byID[n.name] = i
		}
	}
	if i, ok := p.byID[name]; ok {
		return &p.list[i].info
	}
	return nil
}

// deepest is how deeply nested values are looked at, as entity.Walk.
const deepest = 64

// walk is entity.Walk over values as they stand in a log record; field begins with what stands before the first key.
func walk(m pcommon.Map, field []byte, depth int, visit func(field []byte, value pcommon.Value)) {
	if depth == deepest {
		return
	}
	for k, v := range m.All() {
		if m.Len() == 1 && strings.HasPrefix(k, "$") {
			return
		}
		walkValue(v, append(append(field, '.'), task.ValidText(k)...), depth+1, 0, visit)
	}
}

func walkValue(v pcommon.Value, field []byte, depth, inLists int, visit func([]byte, pcommon.Value)) {
	switch v.Type() {
	case pcommon.ValueTypeMap:
		walk(v.Map(), field, depth, visit)
	case pcommon.ValueTypeSlice:
		if inLists >= deepest {
			return
		}
		for _, e := range v.Slice().All() {
			walkValue(e, field, depth, inLists+1, visit)
		}
	default:
		visit(field, v)
	}
}
