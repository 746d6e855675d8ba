package discover

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listener is a socket that waits for connections.
type listener struct {
	address netip.AddrPort
	inode   string
}

// sockets are those of this network namespace.
type sockets struct {
	listening   map[string]listener // by inode
	connections map[uint16]int      // established ones, by the local port
}

const (
	stateListen      = "0A"
	stateEstablished = "01"
	maxSockets       = 100_000
)

func readSockets(proc string) sockets {
	s := sockets{listening: map[string]listener{}, connections: map[uint16]int{}}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		f, err := os.Open(filepath.Join(proc, table))
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		lines.Scan() // the head
		for n := 0; n < maxSockets && lines.Scan(); n++ {
			// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 {
				continue
			}
			local, err := parseAddress(fields[1])
			if err != nil {
				continue
			}
			switch fields[3] {
			case stateListen:
				s.listening[fields[9]] = listener{local, fields[9]}
			case stateEstablished:
				s.connections[local.Port()]++
			}
		}
		f.Close()
	}
	return s
}

// parseAddress reads the kernel's notation: 32-bit words in the order of this machine, each in hex.
func parseAddress(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("address %q is not as expected", s)
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// Dask's own ports.
const (
	daskPort      = 8786
	dashboardPort = 8787
)

// scheduler offers a process that is a Dask scheduler, or has one in it as LocalCluster does. Of its sockets, that one is
// the scheduler's to which most others are connected: each worker, its nanny and each client.
func (l *looker) scheduler(p process, ports []listener, all sockets) {
	command := isSchedulerCommand(p)
	if !command && !l.daskInside(p) {
		return
	}
	best, most := -1, 0
	for i, s := range ports {
		n := all.connections[s.address.Port()]
		if s.address.Port() == daskPort || command && s.address.Port() != dashboardPort {
			n++ // also without workers
		}
		if s.address.Port() == dashboardPort {
			n = 0
		}
		if n > most {
			best, most = i, n
		}
	}
	if best < 0 || !command && most < 2 {
		return
	}
	a := ports[best].address
	host := a.Addr()
	if host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if l.Host != nil && !l.Host(host.String()) {
		l.note("%s is a Dask scheduler that listens on %s, which is not among the hosts that are allowed", p, host)
		return
	}
	uri := "tcp://" + netip.AddrPortFrom(host, a.Port()).String()
	if l.schedulers[uri] {
		return
	}
	l.schedulers[uri] = true
	evidence := fmt.Sprintf("%s is a Dask scheduler and listens there", p)
	if !command {
		evidence = fmt.Sprintf("%s has Dask loaded and listens there, with %d connections", p, all.connections[a.Port()])
	}
	l.offer("dask", uri, map[string]any{"schedulers": []any{uri}}, evidence, "")
}

func isSchedulerCommand(p process) bool {
	for i, a := range p.arg {
		if i > 4 {
			break
		}
		name := filepath.Base(a)
		if name == "dask-scheduler" || name == "distributed.cli.dask_scheduler" || name == "dask_scheduler.py" ||
			(name == "dask" || name == "dask.__main__") && i+1 < len(p.arg) && p.arg[i+1] == "scheduler" {
			return true
		}
	}
	return false
}

// daskInside says that a Python process, and no worker, has the parts loaded that Dask's scheduler needs.
func (l *looker) daskInside(p process) bool {
	for _, a := range p.arg {
		if strings.Contains(a, "multiprocessing") || strings.Contains(a, "dask_worker") || strings.HasSuffix(a, "dask-worker") {
			return false
		}
	}
	if len(p.arg) > 1 && filepath.Base(p.arg[1]) == "dask" && len(p.arg) > 2 && p.arg[2] == "worker" {
		return false
	}
	maps, err := readStart(filepath.Join(l.Proc, strconv.Itoa(p.pid), "maps"))
	return err == nil && strings.Contains(maps, "/msgpack/_cmsgpack") && strings.Contains(maps, "/tornado/speedups")
}

const mapsBytes = 4 << 20

// readStart reads a file of /proc, which has no size.
func readStart(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b strings.Builder
	buf := make([]byte, 64<<10)
	for b.Len() < mapsBytes {
		n, err := f.Read(buf)
		b.Write(buf[:n])
		if err != nil || n == 0 {
			break
		}
	}
	return b.String(), nil
}

// withoutPassword returns a URI that may be shown, and what is missing in it.
func withoutPassword(uri string) (shown, note string) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", ""
	}
	if _, has := u.User.Password(); has {
		u.User = url.User(u.User.Username())
		note = "its password is not part of the offer: give it as password"
	}
	u.Scheme, _, _ = strings.Cut(u.Scheme, "+") // SQLAlchemy's driver
	return u.String(), note
}

// ListenerOn names this user's process that listens on a port, "" where it is none of theirs.
func ListenerOn(port uint16) string {
	const proc = "/proc"
	l := &looker{Options: Options{Proc: proc, MaxProcesses: Default().MaxProcesses}, ctx: context.Background(), ended: map[string]bool{}}
	all := readSockets(proc)
	for _, p := range l.ownProcesses() {
		fds := filepath.Join(proc, strconv.Itoa(p.pid), "fd")
		names, err := readNames(fds)
		if err != nil {
			continue
		}
		for _, fd := range names {
			to, _ := os.Readlink(filepath.Join(fds, fd))
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				if s, ok := all.listening[strings.TrimSuffix(inode, "]")]; ok && s.address.Port() == port {
					return p.String()
				}
			}
		}
	}
	return ""
}
