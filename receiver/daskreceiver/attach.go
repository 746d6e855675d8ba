package daskreceiver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const maxBackoff = 30 * time.Second

// Reasons of the metric of failed attempts.
const (
	reasonUnreachable  = "unreachable"   // nobody listens there
	reasonForeignOwner = "foreign_owner" // another user's, or another host's
	reasonProtocol     = "protocol"      // no Dask scheduler, or no answer in time
	reasonRejected     = "rejected"      // the scheduler could not do what was asked
)

// attacher brings the plugin to schedulers and takes it away again.
type attacher struct {
	cfg     AttachConfig
	foreign bool
	tls     *tls.Config
	plugins *plugins
	logger  *zap.Logger
	failed  func(reason string)
}

// target is one scheduler that is wanted.
type target struct {
	address    address
	configured bool // by its address, not by a scheduler file
	attached   atomic.Bool
	seen       atomic.Bool // it was attached once
	wanted     atomic.Bool // false once its scheduler file is gone
	problem    atomic.Pointer[error]

	mu    sync.Mutex
	id    string // of the scheduler that carries our plugin
	short bool   // it can answer identity without its workers
}

// run visits the scheduler until ctx ends, or until it is neither wanted nor there.
func (a *attacher) run(ctx context.Context, t *target) {
	logger := a.logger.With(zap.String("scheduler", t.address.url))
	backoff := a.cfg.RetryInterval
	said := ""
	for {
		err := a.visit(ctx, t, logger)
		t.problem.Store(&err)
		var wait time.Duration
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			wait, backoff, said = a.cfg.CheckInterval, a.cfg.RetryInterval, ""
		case unreachable(err):
			if t.attached.Swap(false) {
				logger.Info("the scheduler ended; waiting for the next one at this address")
				said = "ended"
			}
			if !t.wanted.Load() {
				return
			}
			a.failed(reasonUnreachable)
			if said == "" {
				said = "waiting"
				logger.Info("no scheduler there yet; it is observed as soon as it appears", zap.Error(err), zap.String("problem", problemOf(t, err)))
			}
			wait = a.cfg.RetryInterval
		default:
			a.failed(reason(err))
			if said != err.Error() {
				said = err.Error()
				logger.Warn("cannot attach to the scheduler; it is tried again", zap.Error(err), zap.String("problem", problemOf(t, err)), zap.Duration("in", backoff))
			}
			wait, backoff = backoff, min(2*backoff, maxBackoff)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func problemOf(t *target, err error) string {
	_, problem := explain(t.address.url, err)
	return problem
}

// visit attaches if the scheduler there is not the one that was attached last.
func (a *attacher) visit(ctx context.Context, t *target, logger *zap.Logger) error {
	ctx, cancel := deadline(ctx, a.cfg.Timeout)
	defer cancel()
	k, err := a.connect(ctx, t)
	if err != nil {
		return err
	}
	defer k.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	who, err := k.identity(t.short)
	if err != nil {
		t.short = false
		return err
	}
	t.short = who.short
	if who.id == t.id && t.attached.Load() {
		return nil
	}
	args, err := a.plugins.register()
	if err != nil {
		return err
	}
	if _, err := k.call("register_scheduler_plugin", args); err != nil {
		return err
	}
	t.id = who.id
	t.attached.Store(true)
	t.seen.Store(true)
	logger.Info("attached to a running Dask cluster", zap.String("id", who.id))
	return nil
}

// connect opens a connection to a scheduler that may be observed.
func (a *attacher) connect(ctx context.Context, t *target) (*comm, error) {
	k, err := dial(ctx, t.address, a.tls)
	if err != nil {
		return nil, err
	}
	if a.foreign {
		return k, nil
	}
	if err := checkPeer(k); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// detach takes the plugin away from a scheduler that still carries it.
func (a *attacher) detach(ctx context.Context, t *target) error {
	if !t.attached.Load() {
		return nil
	}
	ctx, cancel := deadline(ctx, a.cfg.Timeout)
	defer cancel()
	k, err := a.connect(ctx, t)
	if err == nil {
		defer k.close()
		err = a.leave(k, t)
	}
	if err == nil || unreachable(err) { // a scheduler that ended has no plugin any more
		t.attached.Store(false)
		return nil
	}
	a.failed(reason(err))
	return fmt.Errorf("%s: the observer stays in the cluster: %w", t.address.url, err)
}

func (a *attacher) leave(k *comm, t *target) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	who, err := k.identity(t.short)
	if err != nil {
		return err
	}
	if who.id != t.id {
		return nil
	}
	args, err := a.plugins.detach()
	if err != nil {
		return err
	}
	_, err = k.call("register_scheduler_plugin", args)
	return err
}

// foreignError says that a scheduler is not ours to observe.
type foreignError struct{ text string }

func (e *foreignError) Error() string {
	return e.text + "; set allow_foreign_owner: true to observe it all the same"
}

// checkPeer refuses schedulers of other users and other hosts. It asks for the owner of the very connection that is
// used, so that nobody can take the port in between.
func checkPeer(k *comm) error {
	local, err1 := netip.ParseAddrPort(k.c.LocalAddr().String())
	remote, err2 := netip.ParseAddrPort(k.c.RemoteAddr().String())
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	uid, found, err := socketOwner(remote, local)
	switch {
	case err != nil:
		return &foreignError{fmt.Sprintf("the owner of the scheduler cannot be told (%v)", err)}
	case !found:
		return &foreignError{"the scheduler is not a process of this host"}
	case uid != os.Geteuid():
		return &foreignError{fmt.Sprintf("the scheduler belongs to user %d, this collector runs as user %d", uid, os.Geteuid())}
	}
	return nil
}

func reason(err error) string {
	var foreign *foreignError
	var rejected *rejectedError
	switch {
	case unreachable(err):
		return reasonUnreachable
	case errors.As(err, &foreign):
		return reasonForeignOwner
	case errors.As(err, &rejected):
		return reasonRejected
	default:
		return reasonProtocol
	}
}
