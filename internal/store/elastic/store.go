package elastic

import (
	"context"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/view"
)

// Store is a view in a cluster. Several collectors may write to it.
type Store struct {
	opts   Options
	client *client
	log    *zap.Logger
	setup  setup
	fields fields
	pace   *pace

	queue      chan *call
	writerDone chan struct{}
	alive      context.Context // of all requests; ends when Close waits no longer
	kill       context.CancelFunc

	mu     sync.RWMutex // guards closed; held for reading while a call runs
	closed bool

	tasksChanged, tasksUnchanged, transactions atomic.Int64
	conflicts, retries, spilled                atomic.Int64
	batches                                    store.Batches

	states *view.Cache[cachedState]
	memory sync.Mutex // guards seen
	seen   map[view.Observer]*observer
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Counted = (*Store)(nil)
)

// Open makes a store. The cluster need not be there yet: templates and indices are made by the first call that reaches
// it, and calls fail until then.
func Open(opts Options) (*Store, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	alive, kill := context.WithCancel(context.Background())
	c, err := newClient(alive, opts)
	if err != nil {
		kill()
		return nil, err
	}
	s := &Store{
		alive: alive, kill: kill, setup: setup{gate: make(chan struct{}, 1)},
		opts: opts, client: c, log: opts.Logger, pace: newPace(opts.BulkRequests, opts.BulkBytes),
		queue: make(chan *call, 64), writerDone: make(chan struct{}),
		states: view.NewCache[cachedState](opts.CacheBytes), seen: map[view.Observer]*observer{},
	}
	go s.writer()
	return s, nil
}

// Counters implements store.Counted.
func (s *Store) Counters() store.Counters {
	requests, bytes := s.pace.now()
	return store.Counters{
		BulkRequests: int64(requests), BulkBytes: int64(bytes),
		TasksChanged: s.tasksChanged.Load(), TasksUnchanged: s.tasksUnchanged.Load(), Transactions: s.transactions.Load(),
		Conflicts: s.conflicts.Load(), Retries: s.retries.Load(), FieldsSpilled: s.spilled.Load(),
	}
}

// LastBatch implements store.Counted.
func (s *Store) LastBatch() (store.Batch, bool) { return s.batches.Last() }

// enter admits a call; leave ends it. Close waits for all of them.
func (s *Store) enter(ctx context.Context) error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return store.ErrClosed
	}
	if err := s.ready(ctx); err != nil {
		s.mu.RUnlock()
		return err
	}
	return nil
}

func (s *Store) leave() { s.mu.RUnlock() }

// Close implements store.Store. It waits for running calls; once ctx ends, it breaks them off.
func (s *Store) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.kill)
	defer stop()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.queue)
	<-s.writerDone
	s.kill()
	s.client.close()
	return nil
}
