package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// Options of a copy.
type Options struct {
	Campaign string // "" = the whole view
	// StatePath is where the copy notes how far it is, so that the next one goes on there; "" = it does not.
	StatePath string
	// From and To name the stores, so that the notes of one copy are not taken for those of another.
	From, To string
	// Progress, if set, hears after each group how many parts of a kind were imported, and left out since they are there.
	Progress func(kind store.PartKind, imported, known int64)
}

// Result says what a copy did.
type Result struct {
	Imported, Known map[store.PartKind]int64
	Refused         []store.Refused
}

// Resumed says whether the copy left out what one before it had brought.
func (r *Result) Resumed() bool { return len(r.Known) > 0 }

// Groups of parts that are imported together, which the target has as a whole or not at all. (Variables for the tests.)
var (
	groupParts = 5_000
	groupBytes = 16 << 20
)

// Copy imports all parts of a snapshot. It ends at the first error; the next copy with the same state file goes on.
func Copy(ctx context.Context, from store.Snapshot, to store.Transfer, o Options) (_ *Result, err error) {
	state, err := openState(o.StatePath, stateHead{From: o.From, To: o.To, Campaign: o.Campaign})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, state.close()) }()
	c := &copying{
		to: to, state: state, progress: o.Progress,
		result: &Result{Imported: map[store.PartKind]int64{}, Known: map[store.PartKind]int64{}},
	}
	err = from.Parts(ctx, o.Campaign, func(p store.Part) error { return c.add(ctx, p) })
	if err == nil {
		err = c.flush(ctx)
	}
	return c.result, err
}

// Forget removes the state file of a copy that is complete.
func Forget(o Options) error {
	state, err := openState(o.StatePath, stateHead{From: o.From, To: o.To, Campaign: o.Campaign})
	if err != nil {
		return err
	}
	return state.remove()
}

type copying struct {
	to       store.Transfer
	state    *stateFile
	progress func(kind store.PartKind, imported, known int64)
	result   *Result

	parts []store.Part // the group so far
	bytes int
	sum   Sum
	known *group // the group of an earlier copy that it may be
}

func (c *copying) add(ctx context.Context, p store.Part) error {
	if c.ends(p) {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	if len(c.parts) == 0 {
		if g, ok := c.state.next(p.Kind, p.ID); ok {
			c.known = &g
		}
	}
	c.parts = append(c.parts, p)
	c.bytes += len(p.Data)
	c.sum.Add(p)
	return nil
}

// ends says whether a part does not belong to the group any more.
func (c *copying) ends(p store.Part) bool {
	switch {
	case len(c.parts) == 0:
		return false
	case p.Kind != c.parts[0].Kind:
		return true
	case c.known != nil:
		return p.ID > c.known.Last || len(c.parts) >= 10*groupParts || c.bytes >= 10*groupBytes
	default:
		return len(c.parts) >= groupParts || c.bytes >= groupBytes
	}
}

func (c *copying) flush(ctx context.Context) error {
	if len(c.parts) == 0 {
		return nil
	}
	kind, last := c.parts[0].Kind, c.parts[len(c.parts)-1].ID
	if c.known != nil && c.known.Sum == c.sum.String() {
		c.result.Known[kind] += c.sum.Parts
	} else {
		refused, err := c.to.Import(ctx, c.parts)
		if err != nil {
			return fmt.Errorf("import %d %s: %w", len(c.parts), kind, err)
		}
		c.result.Refused = append(c.result.Refused, refused...)
		c.result.Imported[kind] += c.sum.Parts - int64(len(refused))
		if len(refused) == 0 {
			if err := c.state.append(group{kind, last, c.sum.String()}); err != nil {
				return fmt.Errorf("state file %s: %w", c.state.path, err)
			}
		}
	}
	c.parts, c.bytes, c.sum, c.known = c.parts[:0], 0, Sum{}, nil
	if c.progress != nil {
		c.progress(kind, c.result.Imported[kind], c.result.Known[kind])
	}
	return nil
}
