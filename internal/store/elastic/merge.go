package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// entry is one document that a write brings into an index. It goes through rounds until it is settled:
//
//	           ┌───────── changed meanwhile ──────────┐
//	unread ──read──▶ merged ──write over the version──┴──▶ settled
//	                   ▲                                     ▲
//	believed new, or of a known version                 rejected, unchanged
//
// An entry that is believed to be new is created; where that finds a document, it is read and merged.
type entry struct {
	index, id string
	// merge takes in the stored document; nil: there is none. An error rejects the entry.
	merge func(source []byte) error
	// body is the document to write, nil when the stored one says it all. An error rejects the entry. spill asks for a
	// document that every server takes.
	body func(spill bool) ([]byte, error)
	// stored, if set, hears of the version that was written.
	stored func(version)
	reject func(error)

	version *version // of what was merged; nil: believed new
	unread  bool     // the stored document, if any, is not merged yet
	spill   bool
	// addOnly says that an existing document of this id is the same.
	addOnly bool
}

const (
	maxConflicts = 100 // rounds in which others changed the documents
	maxBusy      = 8   // rounds in which the server was too busy
	busyFirst    = 50 * time.Millisecond
	busyMost     = 3 * time.Second
)

// settle brings entries in. A nil error means that each is stored or rejected.
func (s *Store) settle(ctx context.Context, entries []*entry) error {
	conflicts, busy := 0, 0
	for len(entries) > 0 {
		if err := s.read(ctx, entries); err != nil {
			return err
		}
		left, overloaded, err := s.round(ctx, entries)
		if err != nil || len(left) == 0 {
			return err
		}
		s.retries.Add(int64(len(left)))
		if entries = left; overloaded != nil {
			if busy++; busy > maxBusy {
				return fmt.Errorf("%d documents: %w", len(left), overloaded)
			}
			err = wait(ctx, busy-1, busyFirst, busyMost)
		} else {
			if conflicts++; conflicts > maxConflicts {
				return fmt.Errorf("%d documents were changed by others in each of %d rounds", len(left), maxConflicts)
			}
			err = wait(ctx, conflicts-1, time.Millisecond, 100*time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// round writes what there is to write and returns the entries that need another round.
func (s *Store) round(ctx context.Context, entries []*entry) (left []*entry, overloaded error, err error) {
	var ops []*operation
	var of []*entry
	for _, e := range entries {
		if e.unread { // it was rejected while it was read
			continue
		}
		body, err := e.body(e.spill)
		if err != nil {
			e.reject(err)
			continue
		}
		if body == nil {
			continue
		}
		verb := "create"
		if e.version != nil {
			verb = "index"
		}
		ops = append(ops, &operation{verb: verb, index: e.index, id: e.id, version: e.version, body: body})
		of = append(of, e)
	}
	results, err := s.bulk(ctx, ops)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range results {
		e := of[i]
		switch {
		case r.err == nil:
			if e.stored != nil {
				e.stored(r.version)
			}
		case r.conflict() && e.addOnly:
		case r.conflict():
			s.conflicts.Add(1)
			e.unread = true
			left = append(left, e)
		case r.busy():
			overloaded = r.err
			left = append(left, e)
		case r.err.Status == http.StatusNotFound:
			return nil, nil, fmt.Errorf("index %s: %w", e.index, r.err)
		case e.spill:
			e.reject(r.err)
		default:
			e.spill = true
			left = append(left, e)
		}
	}
	return left, overloaded, nil
}

// readAtOnce bounds the documents of one request.
const readAtOnce = 200

// read merges the stored documents of the unread entries into them.
func (s *Store) read(ctx context.Context, entries []*entry) error {
	var unread []*entry
	for _, e := range entries {
		if e.unread {
			unread = append(unread, e)
		}
	}
	for len(unread) > 0 {
		part := unread[:min(readAtOnce, len(unread))]
		unread = unread[len(part):]
		docs, err := s.multiGet(ctx, part, true)
		if err != nil {
			return err
		}
		for i, d := range docs {
			e := part[i]
			var source []byte
			e.version = nil
			if d.Found {
				source, e.version = d.Source, &version{d.Seq, d.Term}
			}
			if err := e.merge(source); err != nil {
				e.reject(err)
				continue
			}
			e.unread = false
		}
	}
	return nil
}

// stored is one document of a multi-get.
type storedDocument struct {
	Found  bool
	Seq    int64           `json:"_seq_no"`
	Term   int64           `json:"_primary_term"`
	Source json.RawMessage `json:"_source"`
	Error  *struct{ Type, Reason string }
}

func (s *Store) multiGet(ctx context.Context, entries []*entry, source bool) ([]storedDocument, error) {
	docs := make([]object, len(entries))
	for i, e := range entries {
		docs[i] = object{"_index": e.index, "_id": e.id, "_source": source}
		if source && e.index == s.index(tasks) {
			docs[i]["_source"] = []string{"state"}
		}
	}
	for try := 0; ; try++ {
		var answer struct{ Docs []storedDocument }
		if err := s.client.ask(ctx, request{method: http.MethodPost, path: "/_mget", body: object{"docs": docs}}, &answer); err != nil {
			return nil, err
		}
		if len(answer.Docs) != len(entries) {
			return nil, fmt.Errorf("multi-get: %d documents asked for, %d answered", len(entries), len(answer.Docs))
		}
		i := slices.IndexFunc(answer.Docs, func(d storedDocument) bool { return d.Error != nil })
		if i < 0 {
			return answer.Docs, nil
		}
		// So it is just after an index was made, and while shards move.
		if e := answer.Docs[i].Error; e.Type != "no_shard_available_action_exception" || try == maxBusy {
			return nil, fmt.Errorf("read %s of %s: %s: %s", entries[i].id, entries[i].index, e.Type, e.Reason)
		}
		if err := wait(ctx, try, busyFirst, busyMost); err != nil {
			return nil, err
		}
	}
}

// missing returns those of the entries whose document does not exist.
func (s *Store) missing(ctx context.Context, entries []*entry) (out []*entry, err error) {
	for len(entries) > 0 {
		part := entries[:min(5*readAtOnce, len(entries))]
		entries = entries[len(part):]
		docs, err := s.multiGet(ctx, part, false)
		if err != nil {
			return nil, err
		}
		for i, d := range docs {
			if !d.Found {
				out = append(out, part[i])
			}
		}
	}
	return out, nil
}
