package tasklogreceiver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

const (
	storeVersion = 1
	keyObserver  = "observer"
	keyFiles     = "files"
	// maxFiles is how many logs stay known; beyond it those that are gone for longest are forgotten.
	maxFiles = 20_000
)

// stateStore keeps, per log, the accepted position together with the state of the rules: one value, so that they move
// together. A failed write loses nothing: what is behind the stored position is read again and gives the same events.
type stateStore struct {
	client storage.Client
	seq    func() int64
	logger *zap.Logger

	observer observerState
	index    []string
	dirty    bool // the index has keys that are not stored
	failed   bool
}

type observerState struct {
	Version int    `json:"schema_version"`
	ID      string `json:"id"`
	Seq     int64  `json:"seq"`
	NextKey int64  `json:"next_key"`
}

type fileState struct {
	Version  int             `json:"schema_version"`
	Identity string          `json:"identity"`
	Path     string          `json:"path"`
	ID       fileID          `json:"id"`
	Offset   int64           `json:"offset"`
	Marks    marks           `json:"marks"`
	Rules    json.RawMessage `json:"rules"`
	Ahead    json.RawMessage `json:"ahead,omitempty"`
	Size     int64           `json:"size"`
	ModTime  int64           `json:"mtime"`
	Gone     bool            `json:"gone,omitempty"` // which was said
	Moved    bool            `json:"moved,omitempty"`
	// Continued says that another log has taken the run over.
	Continued bool  `json:"continued,omitempty"`
	Tally     tally `json:"tally"`
}

// fileHead is what every version writes, so that an older one knows which log to leave alone.
type fileHead struct {
	Version int    `json:"schema_version"`
	Path    string `json:"path"`
	ID      fileID `json:"id"`
}

// refusedLog is one whose state is of a newer version.
type refusedLog struct {
	path string
	id   fileID
	err  error
}

// openStore reads what was stored; a missing extension is an error that names the key.
func openStore(ctx context.Context, host component.Host, id *component.ID, self component.ID, logger *zap.Logger) (*stateStore, error) {
	s := &stateStore{client: storage.NewNopClient(), logger: logger, seq: func() int64 { return 0 }}
	if id != nil {
		ext, ok := host.GetExtensions()[*id]
		if !ok {
			return nil, fmt.Errorf("storage: there is no extension %q; list it under extensions and under service: extensions", id)
		}
		se, ok := ext.(storage.Extension)
		if !ok {
			return nil, fmt.Errorf("storage: the extension %q keeps no state; use file_storage", id)
		}
		var err error
		if s.client, err = se.GetClient(ctx, component.KindReceiver, self, ""); err != nil {
			return nil, fmt.Errorf("storage: %w", err)
		}
	}
	if err := s.load(ctx, keyObserver, &s.observer); err != nil {
		return nil, err
	}
	if s.observer.Version > storeVersion {
		return nil, fmt.Errorf("storage: schema_version %d of the logs' positions is newer than this program's %d",
			s.observer.Version, storeVersion)
	}
	if s.observer.ID == "" {
		var b [6]byte
		_, _ = rand.Read(b[:]) // cannot fail
		s.observer.ID = self.String() + "@" + hostName() + "-" + hex.EncodeToString(b[:])
	}
	s.observer.Version = storeVersion
	return s, s.load(ctx, keyFiles, &s.index)
}

func (s *stateStore) load(ctx context.Context, key string, into any) error {
	data, err := s.client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("storage: read %q: %w", key, err)
	}
	if data == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("storage: %q is not readable: %w", key, err)
	}
	return nil
}

// files restores the logs that were followed. One that cannot be restored is read again from its beginning; but what a
// newer version stored stays as it is, and its log is refused.
func (s *stateStore) files(ctx context.Context, set *rules.Set) (out []*file, refused []refusedLog, err error) {
	var keys []string
	for _, key := range s.index {
		var head fileHead
		var st fileState
		err := s.load(ctx, key, &head)
		if err == nil && head == (fileHead{}) {
			continue
		}
		if err == nil && head.Version > storeVersion {
			err = fmt.Errorf("schema_version %d, this version knows %d: %w", head.Version, storeVersion, rules.ErrNewer)
		}
		if err == nil {
			err = s.load(ctx, key, &st)
		}
		f := &file{
			key: key, identity: st.Identity, path: st.Path, id: st.ID, offset: st.Offset, marks: st.Marks, ahead: st.Ahead,
			size: st.Size, mtime: time.Unix(0, st.ModTime), grown: time.Now(), gone: st.Gone,
			moved: st.Moved, continued: st.Continued, tally: st.Tally,
		}
		if err == nil {
			f.engine, err = set.NewEngine(rules.Log{Identity: st.Identity, Path: logPath(st.Path)})
		}
		if err == nil {
			err = f.engine.Restore(st.Rules)
		}
		if errors.Is(err, rules.ErrNewer) {
			if head.Path == "" {
				return nil, nil, fmt.Errorf("storage: %q does not say which log it is of: %w", key, err)
			}
			refused = append(refused, refusedLog{head.Path, head.ID, err})
			keys = append(keys, key)
			continue
		}
		if err != nil {
			s.logger.Warn("the stored position of a log is not usable; the log is read again from its beginning, which gives the same tasks",
				zap.String("path", head.Path), zap.Error(err))
			continue
		}
		out = append(out, f)
		keys = append(keys, key)
	}
	s.index = keys
	return out, refused, nil
}

func (s *stateStore) newKey() string {
	s.observer.NextKey++
	key := "file/" + strconv.FormatInt(s.observer.NextKey, 10)
	s.index = append(s.index, key)
	s.dirty = true
	return key
}

// save stores how far a log was accepted.
func (s *stateStore) save(ctx context.Context, f *file) {
	err := s.write(ctx, f)
	switch {
	case err == nil && s.failed:
		s.failed = false
		s.logger.Info("positions of logs are stored again")
	case err != nil && !s.failed:
		s.failed = true
		s.logger.Warn("the position of a log could not be stored; after a restart it is read again from the stored one, "+
			"which gives the same tasks", zap.String("path", f.path), zap.Error(err))
	}
}

func (s *stateStore) write(ctx context.Context, f *file) error {
	st, err := f.engine.State()
	if err != nil {
		return err
	}
	data, err := json.Marshal(fileState{
		Version: storeVersion, Identity: f.identity, Path: f.path, ID: f.id, Offset: f.offset, Marks: f.marks, Rules: st, Ahead: f.ahead,
		Size: f.size, ModTime: f.mtime.UnixNano(), Gone: f.gone, Moved: f.moved, Continued: f.continued, Tally: f.tally,
	})
	if err != nil {
		return err
	}
	s.observer.Seq = s.seq()
	observer, err := json.Marshal(s.observer)
	if err != nil {
		return err
	}
	ops := []*storage.Operation{storage.SetOperation(f.key, data), storage.SetOperation(keyObserver, observer)}
	if s.dirty {
		index, err := json.Marshal(s.index)
		if err != nil {
			return err
		}
		ops = append(ops, storage.SetOperation(keyFiles, index))
	}
	// The stop of the collector must not keep the position of what was accepted from being stored.
	if err := s.client.Batch(context.WithoutCancel(ctx), ops...); err != nil {
		return err
	}
	s.dirty = false
	return nil
}

func (s *stateStore) forget(ctx context.Context, f *file) {
	s.index = slices.DeleteFunc(s.index, func(key string) bool { return key == f.key })
	s.dirty = true
	if err := s.client.Delete(ctx, f.key); err != nil {
		s.logger.Warn("the position of a forgotten log could not be removed", zap.String("path", f.path), zap.Error(err))
	}
}

func (s *stateStore) close(ctx context.Context) error { return s.client.Close(ctx) }
