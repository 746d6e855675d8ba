package mlflowreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

const (
	cursorVersion = 1
	cursorKey     = "cursor"
	buckets       = 256
	// saveEvery bounds how often a long catch-up writes its position.
	saveEvery = time.Second
)

// cursor is how far the observer is. It is saved after the pipeline accepted what lies behind it.
type cursor struct {
	Version  int             `json:"schema_version"`
	Observer string          `json:"observer"`
	Campaign string          `json:"campaign"`
	Settings string          `json:"settings"`
	Seq      int64           `json:"seq"`
	Time     int64           `json:"time"`
	Marks    map[string]mark `json:"marks"`
	Sweep    string          `json:"sweep_run"` // the last run that the sweep compared
}

// mark is how far a table was read.
type mark struct {
	// Row is SQLite's number of the last row, and Print what it held, because numbers are used again after deletions.
	Row   int64  `json:"row"`
	Print uint64 `json:"print"`
	// PostgreSQL: rows of transactions before Since are known; Row is the block where to look for others first, File
	// what the table is kept in. The first reading of the runs is behind the run After, until it is nil.
	Since uint64  `json:"since,omitempty"`
	File  string  `json:"file,omitempty"`
	After *string `json:"after,omitempty"`
}

// seen is what was last read of a run.
type seen struct {
	light, content  uint64
	open            bool
	used, generated int32 // leaves of its event; -1 = not known
}

// keeper holds the cursor and what was seen of each run, in memory and, when there is one, in a storage extension: runs
// in buckets, so that a save writes only those that changed.
type keeper struct {
	client storage.Client // nil keeps all in memory
	cursor cursor
	runs   map[string]seen
	totals totals
	open   map[string]struct{}
	dirty  map[int]map[string]struct{} // the runs of a bucket, for buckets that a save must write
	bucket []map[string]struct{}
	saved  time.Time
}

func newKeeper(client storage.Client) *keeper {
	k := &keeper{client: client, cursor: cursor{Version: cursorVersion, Marks: map[string]mark{}}}
	k.forgetRuns()
	return k
}

func (k *keeper) forgetRuns() {
	k.runs, k.open, k.totals = map[string]seen{}, map[string]struct{}{}, totals{}
	k.bucket = make([]map[string]struct{}, buckets)
	for i := range k.bucket {
		k.bucket[i] = map[string]struct{}{}
	}
	k.dirty = map[int]map[string]struct{}{}
}

func bucketOf(id string) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % buckets)
}

func bucketKey(i int) string { return fmt.Sprintf("runs/%02x", i) }

func (k *keeper) put(id string, s seen) {
	if old, ok := k.runs[id]; ok && old == s {
		return
	}
	b := bucketOf(id)
	if old, ok := k.runs[id]; ok {
		k.totals.add(old, -1)
	}
	k.totals.add(s, 1)
	k.runs[id] = s
	k.bucket[b][id] = struct{}{}
	k.dirty[b] = k.bucket[b]
	if s.open {
		k.open[id] = struct{}{}
	} else {
		delete(k.open, id)
	}
}

func (k *keeper) forget(id string) {
	old, ok := k.runs[id]
	if !ok {
		return
	}
	k.totals.add(old, -1)
	b := bucketOf(id)
	delete(k.runs, id)
	delete(k.open, id)
	delete(k.bucket[b], id)
	k.dirty[b] = k.bucket[b]
}

// load reads what an earlier process saved.
func (k *keeper) load(ctx context.Context) error {
	if k.client == nil {
		return nil
	}
	ops := []*storage.Operation{storage.GetOperation(cursorKey)}
	for i := range buckets {
		ops = append(ops, storage.GetOperation(bucketKey(i)))
	}
	if err := k.client.Batch(ctx, ops...); err != nil {
		return fmt.Errorf("read the position: %w", err)
	}
	if ops[0].Value == nil {
		return nil
	}
	var c cursor
	if err := json.Unmarshal(ops[0].Value, &c); err != nil {
		return fmt.Errorf("the saved position cannot be read: %w", err)
	}
	if c.Version > cursorVersion {
		return fmt.Errorf("the saved position has schema_version %d, this program knows up to %d; use the newer program or another storage", c.Version, cursorVersion)
	}
	if c.Marks == nil {
		c.Marks = map[string]mark{}
	}
	k.cursor = c
	for _, op := range ops[1:] {
		if op.Value == nil {
			continue
		}
		var saved map[string]string
		if err := json.Unmarshal(op.Value, &saved); err != nil {
			return fmt.Errorf("the saved position %s cannot be read: %w", op.Key, err)
		}
		for id, text := range saved {
			s, err := parseSeen(text)
			if err != nil {
				return fmt.Errorf("the saved position %s cannot be read: run %s: %w", op.Key, id, err)
			}
			k.put(id, s)
		}
	}
	clear(k.dirty)
	return nil
}

// due says that a long catch-up should save.
func (k *keeper) due() bool { return time.Since(k.saved) >= saveEvery }

// save writes the cursor and what changed.
func (k *keeper) save(ctx context.Context) error {
	if k.client == nil {
		return nil
	}
	data, err := json.Marshal(k.cursor)
	if err != nil {
		return err
	}
	ops := []*storage.Operation{storage.SetOperation(cursorKey, data)}
	for i, ids := range k.dirty {
		out := make(map[string]string, len(ids))
		for id := range ids {
			out[id] = k.runs[id].String()
		}
		if data, err = json.Marshal(out); err != nil {
			return err
		}
		ops = append(ops, storage.SetOperation(bucketKey(i), data))
	}
	if err := k.client.Batch(ctx, ops...); err != nil {
		return fmt.Errorf("save the position: %w", err)
	}
	clear(k.dirty)
	k.saved = time.Now()
	return nil
}

func (k *keeper) close(ctx context.Context) error {
	if k.client == nil {
		return nil
	}
	return k.client.Close(ctx)
}

func (s seen) String() string {
	state := "e"
	if s.open {
		state = "o"
	}
	return fmt.Sprintf("%016x%016x%s%d,%d", s.light, s.content, state, s.used, s.generated)
}

// parseSeen also reads what versions before the counts wrote.
func parseSeen(text string) (seen, error) {
	if len(text) < 33 {
		return seen{}, fmt.Errorf("%q has %d characters, want at least 33", text, len(text))
	}
	light, err1 := strconv.ParseUint(text[:16], 16, 64)
	content, err2 := strconv.ParseUint(text[16:32], 16, 64)
	s := seen{light: light, content: content, open: text[32] == 'o', used: -1, generated: -1}
	if text = text[33:]; text == "" {
		return s, errors.Join(err1, err2)
	}
	_, err3 := fmt.Sscanf(text, "%d,%d", &s.used, &s.generated)
	return s, errors.Join(err1, err2, err3)
}

// storageClient finds the storage extension; a nil id means none.
func storageClient(ctx context.Context, host component.Host, id *component.ID, of component.ID) (storage.Client, error) {
	if id == nil {
		return nil, nil
	}
	ext, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf("storage: extension %q is not among the running ones; add it to service::extensions", id)
	}
	st, ok := ext.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: extension %q keeps no data; want a storage extension such as file_storage", id)
	}
	client, err := st.GetClient(ctx, component.KindReceiver, of, "")
	if err != nil {
		return nil, fmt.Errorf("storage: extension %q: %w", id, err)
	}
	return client, nil
}
