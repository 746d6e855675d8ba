package task

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Paths and claims stand in nearly every record. What is here writes and reads them without the maps of their wire form.

func putPaths(dst pcommon.Map, paths map[string]PathInfo) {
	dst.EnsureCapacity(len(paths))
	for _, k := range sortedKeys(paths) {
		p := paths[k]
		m := dst.PutEmptyMap(k)
		m.EnsureCapacity(5)
		if p.FS != "" {
			m.PutStr("fs", p.FS)
		}
		if p.ModTime != 0 {
			m.PutInt("mtime", p.ModTime)
		}
		m.PutStr("real", p.Real)
		if p.Rel != "" {
			m.PutStr("rel", p.Rel)
		}
		m.PutInt("size", p.Size)
	}
}

// PutClaims writes the event's claims to its record, in place of those that it had.
func (e *Event) PutClaims(r plog.LogRecord) {
	putClaims(r.Attributes().PutEmptySlice(AttrClaims), e.Claims)
}

func putClaims(dst pcommon.Slice, claims []Claim) {
	dst.EnsureCapacity(len(claims))
	for _, c := range claims {
		m := dst.AppendEmpty().SetEmptyMap()
		m.EnsureCapacity(8)
		m.PutDouble("confidence", c.Confidence)
		m.PutStr("entity", c.Entity)
		m.PutStr("evidence", c.Evidence)
		if c.Field != "" {
			m.PutStr("field", c.Field)
		}
		if c.Label != "" {
			m.PutStr("label", c.Label)
		}
		m.PutStr("role", string(c.Role))
		if c.Time != 0 {
			m.PutInt("time", c.Time)
		}
		if c.TimeSource != "" {
			m.PutStr("time_source", c.TimeSource)
		}
	}
}

// takeClaims reads claims as putClaims writes them. It takes none, and says false, when anything is otherwise: the general
// decoder then says what that is.
func (e *Event) takeClaims(v pcommon.Value) bool {
	if v.Type() != pcommon.ValueTypeSlice {
		return false
	}
	claims := make([]Claim, 0, v.Slice().Len())
	for _, v := range v.Slice().All() {
		if v.Type() != pcommon.ValueTypeMap {
			return false
		}
		c := Claim{}
		for k, v := range v.Map().All() {
			if !c.take(k, v) {
				return false
			}
		}
		if c.Entity == "" || c.Role != Used && c.Role != Generated {
			return false
		}
		claims = append(claims, c)
	}
	if len(claims) > 0 {
		e.Claims = claims
	}
	return true
}

func (c *Claim) take(key string, v pcommon.Value) bool {
	var dst *string
	switch key {
	case "role":
		dst = (*string)(&c.Role)
	case "entity":
		dst = &c.Entity
	case "evidence":
		dst = &c.Evidence
	case "field":
		dst = &c.Field
	case "label":
		dst = &c.Label
	case "time_source":
		dst = &c.TimeSource
	case "confidence":
		c.Confidence = v.Double()
		return v.Type() == pcommon.ValueTypeDouble
	case "time":
		c.Time = v.Int()
		return v.Type() == pcommon.ValueTypeInt
	default:
		return false
	}
	*dst = ValidText(v.Str())
	return v.Type() == pcommon.ValueTypeStr
}

// PathOf reads one of a record's paths as putPaths writes it; false when anything is otherwise.
func PathOf(v pcommon.Value) (PathInfo, bool) {
	if v.Type() != pcommon.ValueTypeMap {
		return PathInfo{}, false
	}
	p := PathInfo{Size: -1}
	for k, v := range v.Map().All() {
		want := pcommon.ValueTypeStr
		switch k {
		case "real":
			p.Real = ValidText(v.Str())
		case "fs":
			p.FS = ValidText(v.Str())
		case "rel":
			p.Rel = ValidText(v.Str())
		case "mtime":
			want, p.ModTime = pcommon.ValueTypeInt, v.Int()
		case "size":
			want, p.Size = pcommon.ValueTypeInt, v.Int()
		}
		if v.Type() != want {
			return PathInfo{}, false
		}
	}
	return p, true
}
