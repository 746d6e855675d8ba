package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// Report compares a source with a target, kind by kind.
type Report struct {
	Kinds    []Kind
	Examples []string // of parts that are missing or different, a few
}

// Kind compares the parts of one kind.
type Kind struct {
	Kind   store.PartKind
	Source Sum
	Target Sum // of those parts that the source has, too
	// Missing parts are not in the target; Different ones are there, without all that the source knows.
	Missing, Different int64
	// Richer parts are in the target with all that the source knows, and more; Extra ones are in the target alone.
	Richer, Extra int64
}

// Complete says whether the target has all that the source has.
func (r *Report) Complete() bool {
	for _, k := range r.Kinds {
		if k.Missing > 0 || k.Different > 0 {
			return false
		}
	}
	return true
}

const maxExamples = 5

// Compare reads both snapshots side by side.
func Compare(ctx context.Context, from, to store.Snapshot, campaign string) (*Report, error) {
	r := &Report{}
	at := map[store.PartKind]*Kind{}
	for _, k := range store.PartKinds {
		r.Kinds = append(r.Kinds, Kind{Kind: k})
	}
	for i := range r.Kinds {
		at[r.Kinds[i].Kind] = &r.Kinds[i]
	}
	source, target := pull(ctx, from, campaign), pull(ctx, to, campaign)
	defer source.stop()
	defer target.stop()
	source.next()
	target.next()
	for source.err == nil && target.err == nil && (source.ok || target.ok) {
		order := 0
		switch {
		case !source.ok:
			order = 1
		case !target.ok:
			order = -1
		default:
			order = view.CompareParts(source.part, target.part)
		}
		switch {
		case order > 0:
			at[target.part.Kind].Extra++
			target.next()
		case order < 0:
			k := at[source.part.Kind]
			k.Source.Add(source.part)
			k.Missing++
			r.example(source.part, "is missing")
			source.next()
		default:
			k := at[source.part.Kind]
			k.Source.Add(source.part)
			k.Target.Add(target.part)
			if source.part.Data != target.part.Data {
				if all, err := view.Contains(target.part, source.part); all && err == nil {
					k.Richer++
				} else {
					k.Different++
					r.example(source.part, "is different")
				}
			}
			source.next()
			target.next()
		}
	}
	return r, errors.Join(source.err, target.err)
}

func (r *Report) example(p store.Part, what string) {
	if len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, fmt.Sprintf("%s %s %s", p.Kind, p.ID, what))
	}
}

// puller is a snapshot that is read part by part.
type puller struct {
	part store.Part
	ok   bool
	err  error
	pull func() (store.Part, error, bool)
	stop func()
}

var errStopped = errors.New("stopped")

func pull(ctx context.Context, s store.Snapshot, campaign string) *puller {
	p := &puller{}
	p.pull, p.stop = iter.Pull2(func(yield func(store.Part, error) bool) {
		err := s.Parts(ctx, campaign, func(part store.Part) error {
			if !yield(part, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(store.Part{}, err)
		}
	})
	return p
}

func (p *puller) next() {
	if p.part, p.err, p.ok = p.pull(); p.err != nil {
		p.ok = false
	}
}
