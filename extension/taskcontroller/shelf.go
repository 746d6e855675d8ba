package taskcontroller

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// shelf is the storage extension that registered observers see: each has a part of the controller's own storage, which
// goes with it.
type shelf struct {
	component.StartFunc
	component.ShutdownFunc
	client storage.Client
}

var _ storage.Extension = (*shelf)(nil)

// GetClient implements storage.Extension.
func (s *shelf) GetClient(_ context.Context, _ component.Kind, id component.ID, name string) (storage.Client, error) {
	return &part{client: s.client, prefix: prefixOf(id) + name + "/"}, nil
}

func prefixOf(id component.ID) string { return "observer/" + id.String() + "/" }

// remove deletes what an observer kept.
func (s *shelf) remove(ctx context.Context, id component.ID) error {
	walker, ok := s.client.(storage.Walker)
	if !ok { // checked in Start
		return errors.New("the storage cannot list what it keeps")
	}
	prefix := prefixOf(id)
	return walker.Walk(ctx, func(key string, _ []byte) ([]*storage.Operation, error) {
		if strings.HasPrefix(key, prefix) {
			return []*storage.Operation{storage.DeleteOperation(strings.Clone(key))}, nil
		}
		return nil, nil
	})
}

// part is a storage client whose keys have a prefix. Closing it closes nothing: the storage is the controller's.
type part struct {
	client storage.Client
	prefix string
}

func (p *part) Get(ctx context.Context, key string) ([]byte, error) {
	return p.client.Get(ctx, p.prefix+key)
}

func (p *part) Set(ctx context.Context, key string, value []byte) error {
	return p.client.Set(ctx, p.prefix+key, value)
}

func (p *part) Delete(ctx context.Context, key string) error {
	return p.client.Delete(ctx, p.prefix+key)
}

func (p *part) Batch(ctx context.Context, ops ...*storage.Operation) error {
	mine := make([]*storage.Operation, len(ops))
	for i, op := range ops {
		mine[i] = &storage.Operation{Key: p.prefix + op.Key, Value: op.Value, Type: op.Type}
	}
	if err := p.client.Batch(ctx, mine...); err != nil {
		return err
	}
	for i, op := range mine {
		ops[i].Value = op.Value
	}
	return nil
}

func (*part) Close(context.Context) error { return nil }
