package daskreceiver

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/otelcol-mida/otelcol-mida/internal/journal"
)

// The part of Dask's comm protocol that is needed to talk to a scheduler. A message is frames behind their lengths:
//
//	u64 size of all that follows | u64 number of frames | u64 length of each | frames       all little-endian
//
// The first frame is msgpack; further ones carry objects that were pickled, which is nothing we ask for.
const (
	maxHandshake = 1 << 20
	maxMessage   = 64 << 20
	maxFrames    = 1 << 12
)

// protocolError says that the other side is no Dask scheduler, or one that we do not understand.
type protocolError struct{ err error }

func (e *protocolError) Error() string { return e.err.Error() }
func (e *protocolError) Unwrap() error { return e.err }

func protocolErrorf(format string, args ...any) error {
	return &protocolError{fmt.Errorf(format, args...)}
}

// rejectedError is a scheduler's answer that it could not do what was asked.
type rejectedError struct{ op, text string }

func (e *rejectedError) Error() string {
	return fmt.Sprintf("the scheduler rejected %s: %s", e.op, e.text)
}

// comm is one connection to a scheduler, for a few messages.
type comm struct {
	c net.Conn
	r *bufio.Reader
}

// dial connects and shakes hands. Everything on the connection ends by the deadline of ctx.
func dial(ctx context.Context, a address, conf *tls.Config) (*comm, error) {
	d := net.Dialer{}
	c, err := d.DialContext(ctx, "tcp", a.host)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			c.Close()
			return nil, err
		}
	}
	if a.tls {
		if conf == nil {
			c.Close()
			return nil, protocolErrorf("a tls:// scheduler needs the cluster's certificates: set tls: {ca_file, cert_file, key_file}")
		}
		conf = conf.Clone()
		if conf.ServerName == "" {
			conf.ServerName, _, _ = net.SplitHostPort(a.host)
		}
		secure := tls.Client(c, conf)
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, protocolErrorf("TLS: %w", err)
		}
		c = secure
	}
	k := newComm(c)
	if err := k.handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return k, nil
}

func newComm(c net.Conn) *comm { return &comm{c: c, r: bufio.NewReader(c)} }

func (k *comm) close() { k.c.Close() }

// handshake agrees on no compression. What the scheduler runs is of no interest: the plugin fits every version.
func (k *comm) handshake() error {
	if err := k.write(map[string]any{"compression": nil, "python": []int{3, 9, 0}, "pickle-protocol": 4}); err != nil {
		return err
	}
	v, err := k.read(maxHandshake)
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return protocolErrorf("no answer to Dask's handshake: %w", err)
		}
		return fmt.Errorf("handshake: %w", err)
	}
	if m, ok := v.(map[string]any); !ok || m["pickle-protocol"] == nil {
		return protocolErrorf("the answer to the handshake is not Dask's")
	}
	return nil
}

func (k *comm) write(msg map[string]any) error {
	body, err := msgpack.Marshal(msg)
	if err != nil {
		return fmt.Errorf("message cannot be encoded: %w", err)
	}
	b := make([]byte, 24, 24+len(body))
	binary.LittleEndian.PutUint64(b, uint64(16+len(body)))
	binary.LittleEndian.PutUint64(b[8:], 1)
	binary.LittleEndian.PutUint64(b[16:], uint64(len(body)))
	_, err = k.c.Write(append(b, body...))
	return err
}

func (k *comm) read(limit uint64) (any, error) {
	var n [16]byte
	if _, err := io.ReadFull(k.r, n[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, protocolErrorf("the connection was closed: %w", err)
		}
		return nil, err
	}
	size, frames := binary.LittleEndian.Uint64(n[:]), binary.LittleEndian.Uint64(n[8:])
	if size > limit || frames < 1 || frames > maxFrames || size < 8+8*frames {
		return nil, protocolErrorf("no message of Dask: %d bytes in %d frames", size, frames)
	}
	rest := make([]byte, size-8)
	if _, err := io.ReadFull(k.r, rest); err != nil {
		return nil, fmt.Errorf("message cut short: %w", err)
	}
	first := binary.LittleEndian.Uint64(rest)
	body := rest[8*frames:]
	if first > uint64(len(body)) {
		return nil, protocolErrorf("no message of Dask: a frame of %d bytes in %d", first, len(body))
	}
	v, err := journal.DecodeMsgpack(body[:first])
	if err != nil {
		return nil, protocolErrorf("no message of Dask: %w", err)
	}
	return v, nil
}

// call sends a request and returns the answer.
func (k *comm) call(op string, args map[string]any) (any, error) {
	msg := map[string]any{"op": op, "reply": true}
	for name, v := range args {
		msg[name] = v
	}
	if err := k.write(msg); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	v, err := k.read(maxMessage)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if m, ok := v.(map[string]any); ok {
		if status, _ := m["status"].(string); status == "error" || status == "uncaught-error" {
			text, _ := m["exception_text"].(string)
			if text == "" {
				text, _ = m["text"].(string)
			}
			return nil, &rejectedError{op: op, text: text}
		}
	}
	return v, nil
}

// identity is who answers.
type identity struct {
	id string
	// short says that the scheduler can leave its workers out of the answer.
	short bool
}

func (k *comm) identity(short bool) (identity, error) {
	args := map[string]any{}
	if short {
		args["n_workers"] = 0
	}
	v, err := k.call("identity", args)
	if err != nil {
		return identity{}, err
	}
	m, _ := v.(map[string]any)
	kind, _ := m["type"].(string)
	id, _ := m["id"].(string)
	// Subclasses have names of their own, so a scheduler is told by what it counts.
	_, hasWorkers := m["workers"]
	if id == "" || !hasWorkers {
		return identity{}, protocolErrorf("it is a %q, want the address of a scheduler", kind)
	}
	_, counts := m["n_workers"]
	return identity{id: id, short: counts}, nil
}

// deadline is a context for one visit.
func deadline(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, timeout)
}
