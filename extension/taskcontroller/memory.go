package taskcontroller

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// memory is the storage of a controller that has none: positions last until the collector ends, so that an observer that
// was stopped goes on where it was.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

var (
	_ storage.Client = (*memory)(nil)
	_ storage.Walker = (*memory)(nil)
)

func (s *memory) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := s.Batch(ctx, op)
	return op.Value, err
}

func (s *memory) Set(ctx context.Context, key string, value []byte) error {
	return s.Batch(ctx, storage.SetOperation(key, value))
}

func (s *memory) Delete(ctx context.Context, key string) error {
	return s.Batch(ctx, storage.DeleteOperation(key))
}

func (s *memory) Batch(_ context.Context, ops ...*storage.Operation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(ops)
	return nil
}

func (s *memory) apply(ops []*storage.Operation) {
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = s.m[op.Key]
		case storage.Set:
			s.m[op.Key] = append([]byte(nil), op.Value...)
		case storage.Delete:
			delete(s.m, op.Key)
		}
	}
}

// Walk implements storage.Walker.
func (s *memory) Walk(_ context.Context, fn storage.WalkFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*storage.Operation
	for k, v := range s.m {
		ops, err := fn(k, v)
		if err != nil {
			return err
		}
		all = append(all, ops...)
	}
	s.apply(all)
	return nil
}

func (*memory) Close(context.Context) error { return nil }
